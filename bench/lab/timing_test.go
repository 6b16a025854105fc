package lab

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// at returns a moment so many milliseconds into the test's time.
func at(ms ...int) []time.Time {
	var out []time.Time
	for _, m := range ms {
		out = append(out, time.UnixMilli(int64(1_000_000+m)))
	}
	return out
}

// spans returns spans that begin and end so many milliseconds into the test's time.
func spans(ms ...int) []span {
	var out []span
	for i := 0; i < len(ms); i += 2 {
		t := at(ms[i], ms[i+1])
		out = append(out, span{t[0], t[1]})
	}
	return out
}

func TestALateBanIsMeasuredFromTheLineThatCausedIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines [][]time.Time
		bans  []time.Time
		want  []time.Time
	}{
		{"all in time", [][]time.Time{at(0, 150, 300), at(10, 160, 310)}, at(302, 313), at(300, 310)},
		{"one so late that another line was written", [][]time.Time{at(0, 150, 300), at(10, 160, 310, 460)}, at(302, 500), at(300, 310)},
		{"lines after the ban do not count", [][]time.Time{at(0, 150, 300)}, at(152), at(150)},
		{"one that was banned after fewer lines than another wrote", [][]time.Time{at(0, 150, 300), at(10)}, at(302, 15), at(0, 10)},
		{"a ban without a line", [][]time.Time{at(100)}, at(50), []time.Time{{}}},
		{"no source", nil, nil, []time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, triggers(tt.lines, tt.bans)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAConnectionThatDoesNotArriveBehindOneThatDoesCrossesTheLimit(t *testing.T) {
	for _, tt := range []struct {
		name    string
		opened  []span
		arrived []time.Time
		want    []time.Time
	}{
		{"all arrive", spans(0, 1, 2, 3, 4, 5), at(0, 2, 5), nil},
		{"the third and all behind it do not", spans(0, 1, 2, 3, 4, 5, 6, 7), at(1, 2), at(4)},
		{"again in the next window", spans(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), at(0, 6, 8), at(2, 10)},
		{"none arrives", spans(0, 1, 2, 3), nil, nil},
		{"a packet of before is nobody's", spans(5, 6, 7, 8), at(1, 5), at(7)},
		{"no connection", nil, at(1), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, crossings(tt.opened, tt.arrived)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyWhatNoWindowsExplainIsAboveTheLimit(t *testing.T) {
	const limit, window = 3, 100*time.Millisecond + tick
	for _, tt := range []struct {
		name    string
		arrived []time.Time
		want    int
	}{
		{"none", nil, 0},
		{"up to the limit", at(0, 1, 2), 0},
		{"twice the limit on both sides of a window's end", at(0, 1, 2, 3, 4, 5), 0},
		{"what two windows do not hold", at(0, 1, 2, 3, 4, 5, 6, 7), 2},
		{"a window that began before the first", at(0, 40, 41, 42, 140, 141, 142), 0},
		{"one too many in it", at(0, 40, 41, 42, 43, 140, 141, 142, 240, 241, 242, 340, 341, 342), 1},
		{"window after window at the limit", at(0, 1, 2, 100, 101, 102, 200, 201, 202, 300, 301, 302), 0},
		{"window after window one above", at(0, 1, 2, 3, 110, 111, 112, 113, 220, 221, 222, 223, 330, 331, 332, 333), 1},
		{"no limit at work", at(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190), 11},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := aboveLimit(tt.arrived, limit, window); got != tt.want {
				t.Errorf("%d above the limit, want %d", got, tt.want)
			}
		})
	}
}

// The windows of a kernel that keeps the limit, wherever they begin, never accuse it.
func TestAKernelThatKeepsTheLimitIsNeverAccused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		window := time.Duration(rapid.IntRange(20, 500).Draw(t, "window")) * time.Millisecond
		now := time.UnixMilli(1_000_000)
		end := now.Add(time.Duration(rapid.IntRange(0, int(window)).Draw(t, "phase")))
		count := 0
		var arrived []time.Time
		for range rapid.IntRange(0, 300).Draw(t, "connections") {
			now = now.Add(time.Duration(rapid.IntRange(0, int(window/4)).Draw(t, "pause")))
			if !now.Before(end) {
				end, count = now.Add(window), 0
			}
			if count++; count <= limit {
				arrived = append(arrived, now)
			}
		}
		if got := aboveLimit(arrived, limit, window); got != 0 {
			t.Fatalf("%d above the limit", got)
		}
	})
}
