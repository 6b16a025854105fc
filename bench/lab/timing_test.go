package lab

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

func TestConnectionsCrossTheLimitOncePerWindow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		opened []span
		want   []time.Time
	}{
		{"never", spans(0, 0, 1, 1), nil},
		{"with the third in the window", spans(0, 0, 1, 1, 2, 2, 3, 3), at(2)},
		{"again in the next window, which begins with its first connection",
			spans(0, 1, 1, 2, 2, 3, 150, 151, 160, 161, 170, 171), at(2, 170)},
		{"one that was begun in a window and may have arrived in the next",
			spans(0, 1, 1, 2, 2, 3, 99, 101, 102, 103, 104, 105, 106, 107), at(2, 104)},
		{"spread too thin", spans(0, 1, 60, 61, 120, 121, 180, 181, 240, 241), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, crossings(tt.opened, 2, 100*time.Millisecond)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
