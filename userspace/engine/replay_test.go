package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestLinesAreCutAsLogsAreWritten(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, tt := range []struct {
		name, input string
		want        []string
		cut         uint64
	}{
		{"nothing", "", nil, 0},
		{"lines", "a\nb\n", []string{"a", "b"}, 0},
		{"no end of the last line", "a\nb", []string{"a", "b"}, 0},
		{"lines of Windows and empty lines", "a\r\n\r\n\nb\r\n", []string{"a", "b"}, 0},
		{"NUL bytes and invalid UTF-8 pass", "a\x00\xff\n", []string{"a\x00\xff"}, 0},
		{"a line at the limit", long + "\nb\n", []string{long, "b"}, 0},
		{"a line above it is cut", long + "yz\nb\n", []string{long, "b"}, 1},
		{"a long last line", long + long, []string{long}, 1},
		{"a long line and one without an end", long + long + "\nb", []string{long, "b"}, 1},
		{"a long line that ends the log", long + "x\n", []string{long}, 1},
		{"lines after a long one", long + "\n" + strings.Repeat("ab\n", 100_000), append([]string{long}, slices.Repeat([]string{"ab"}, 100_000)...), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLineReader(iotest.DataErrReader(iotest.HalfReader(strings.NewReader(tt.input))))
			var got []string
			for {
				line, err := l.next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || l.cut != tt.cut {
				t.Errorf("cut %d lines, want %d; lines (-want +got):\n%.400s", l.cut, tt.cut, diff)
			}
		})
	}
}

// lazyReader gives nothing, and no reason for it.
type lazyReader struct{}

func (lazyReader) Read([]byte) (int, error) { return 0, nil }

func TestAReaderThatGivesNothingEndsTheLog(t *testing.T) {
	l := newLineReader(io.MultiReader(strings.NewReader("a\nb"), lazyReader{}))
	for _, want := range []string{"a", "b"} {
		if got, err := l.next(); got != want || err != nil {
			t.Errorf("line %q, error %v; want %q", got, err, want)
		}
	}
	if _, err := l.next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v, want %v", err, io.ErrNoProgress)
	}
}

func TestAReplayReportsWhatStoppedIt(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"s.yaml": "type: trigger\nname: s\ndescription: d\nfilter: 'true'\n"}))
	broken := errors.New("disk on fire")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		reader io.Reader
		alerts int
		want   error
	}{
		{"the reader", t.Context(), io.MultiReader(strings.NewReader("1 192.0.2.1 x\n"), iotest.ErrReader(broken)), 1, broken},
		{"the context", cancelled, strings.NewReader("1 192.0.2.1 x\n"), 0, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alerts := 0
			var got error
			for a, err := range Replay(tt.ctx, set, profiles, tt.reader, ReplayOptions{File: "x.log"}) {
				if err != nil {
					got = err
					continue
				}
				alerts++
				if a.ID != int64(alerts) {
					t.Errorf("alert %d has number %d", alerts, a.ID)
				}
			}
			if alerts != tt.alerts || !errors.Is(got, tt.want) {
				t.Errorf("%d alerts and error %v, want %d and %v", alerts, got, tt.alerts, tt.want)
			}
		})
	}
}

func TestAReplayCanBeLeftEarly(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"s.yaml": "type: trigger\nname: s\ndescription: d\nfilter: 'true'\n"}))
	for _, err := range Replay(t.Context(), set, profiles, strings.NewReader(strings.Repeat("1 192.0.2.1 x\n", 100_000)), ReplayOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
}

func TestRuleTestsSayWhatDiffers(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"s.yaml": scenario("s", "filter: 'true'")}))
	log := "-- a.log --\n1 192.0.2.1 x\n2 192.0.2.1 x\n3 192.0.2.1 x\n"
	for _, tt := range []struct{ name, archive, diff, err string }{
		{"as wanted", "d\ntype: x\n" + log + "-- want --\n00:00:03 ban 192.0.2.1 4h s\n", "", ""},
		{"without time", "d\ntype: x\n" + log + "-- want --\nban 192.0.2.1 4h s\n", "", ""},
		{"another time", "d\ntype: x\n" + log + "-- want --\n00:00:04 ban 192.0.2.1 4h s\n",
			"- 00:00:04 ban 192.0.2.1 4h s\n+ 00:00:03 ban 192.0.2.1 4h s\n", ""},
		{"nothing wanted", "d\ntype: x\n" + log + "-- want --\n", "+ 00:00:03 ban 192.0.2.1 4h s\n", ""},
		{"no type", "d\n" + log + "-- want --\n", "", "type: syslog"},
		{"no want", "d\ntype: x\n" + log, "", "want"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			diff, err := RunTxtar(t.Context(), set, profiles, []byte(tt.archive), testNow())
			if diff != tt.diff || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("diff = %q, error %v; want %q, %q", diff, err, tt.diff, tt.err)
			}
		})
	}
}

func TestAReplayEndsWhenItsReaderPanics(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"s.yaml": "type: trigger\nname: s\ndescription: d\nfilter: 'true'\n"}))
	defer func() {
		if recover() == nil {
			t.Error("the panic was swallowed")
		}
	}()
	for range Replay(t.Context(), set, profiles, strings.NewReader(strings.Repeat("1 192.0.2.1 x\n", 100_000)), ReplayOptions{}) {
		panic("reader")
	}
}
