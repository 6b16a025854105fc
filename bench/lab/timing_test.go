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
		opened []time.Time
		want   []time.Time
	}{
		{"never", at(0, 1), nil},
		{"with the third in the window", at(0, 1, 2, 3), at(2)},
		{"again in the next window, which begins with its first connection", at(0, 1, 2, 150, 160, 170), at(2, 170)},
		{"spread too thin", at(0, 60, 120, 180, 240), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, crossings(tt.opened, 2, 100*time.Millisecond)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
