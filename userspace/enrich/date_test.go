package enrich

import (
	"strings"
	"sync"
	"testing"
	"time"

	"gabion/userspace/event"
)

// readSlowly says what reading a date means: every layout is tried.
func readSlowly(text, format string, now time.Time) (time.Time, bool) {
	if text == "" || len(text) > maxDate {
		return time.Time{}, false
	}
	tried := layouts
	if format != "" {
		tried = append([]string{format}, layouts...)
	}
	for _, layout := range tried {
		if t, err := time.Parse(layout, text); err == nil && !t.IsZero() {
			if t.Year() == 0 {
				t = t.AddDate(now.UTC().Year(), 0, 0)
			}
			return t, true
		}
	}
	return readUnix(text)
}

// checkDate compares reading a text, twice, with trying every layout.
func checkDate(t *testing.T, d *dates, text, format string) {
	t.Helper()
	want, ok := readSlowly(text, format, clock())
	for _, round := range []string{"first", "second"} {
		evt := &event.Event{StrTimeFormat: format, ExpectMode: event.Replay}
		if err := d.parse(text, evt); err != nil {
			t.Fatal(err)
		}
		got := evt.Time
		if !ok {
			if marshaled := evt.Enriched.Get("MarshaledTime"); !got.IsZero() || marshaled != clock().Format(time.RFC3339Nano) {
				t.Errorf("%s time: %q is no date, but gives %v, %s", round, text, got, marshaled)
			}
			continue
		}
		_, gotOffset := got.Zone()
		_, wantOffset := want.Zone()
		if !got.Equal(want) || gotOffset != wantOffset || evt.Enriched.Get("MarshaledTime") != want.Format(time.RFC3339Nano) {
			t.Errorf("%s time: %q in %q gives %v, %s, want %v", round, text, format, got, evt.Enriched.Get("MarshaledTime"), want)
		}
	}
}

// variants are texts of a layout, and texts that nearly are.
func variants(layout string) []string {
	var out []string
	for _, at := range []time.Time{clock(), time.Date(1999, 12, 31, 23, 59, 59, 987654321, time.FixedZone("CET", 3600)), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 2, 29, 1, 2, 3, 0, time.UTC)} {
		text := at.Format(layout)
		out = append(out, text, text+".5", text+",123", text+" ", text+"Z", text+"+01:00", text+" +0100", text+" CET", " "+text,
			strings.Replace(text, " ", "   ", 1), strings.ReplaceAll(text, " ", "  "), strings.ToLower(text), strings.ToUpper(text), text[:len(text)-1])
		for i := range text {
			for _, c := range " T-/:0aZ" {
				out = append(out, text[:i]+string(c)+text[i+1:])
			}
		}
	}
	return out
}

func TestDatesAreReadAsByTryingEveryLayout(t *testing.T) {
	d := newDates(clock)
	n := 0
	for _, layout := range layouts {
		for _, text := range variants(layout) {
			checkDate(t, d, text, "")
			n++
		}
	}
	for _, text := range []string{"", "1700000000", "1700000000.5", "-5", "2024-02-12 14:10:21 +0100 +01", "Jan 2 5:04:05", "Mon Jan", "Mon       ", "yesterday"} {
		checkDate(t, d, text, "")
		checkDate(t, d, text, "02.01.06 15h04")
	}
	t.Logf("%d texts", n)
}

func TestARememberedDateFollowsTheYear(t *testing.T) {
	now := clock()
	d := newDates(func() time.Time { return now })
	for _, want := range []string{"2024-02-12T14:10:21Z", "2025-02-12T14:10:21Z"} {
		var evt event.Event
		if err := d.parse("Feb 12 14:10:21", &evt); err != nil {
			t.Fatal(err)
		}
		if got := evt.Enriched.Get("MarshaledTime"); got != want {
			t.Errorf("in %d: %s, want %s", now.Year(), got, want)
		}
		now = now.AddDate(1, 0, 0)
	}
}

func TestDatesAreReadConcurrently(t *testing.T) {
	d := newDates(clock)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				at := clock().Add(time.Duration(i*(w+1)) * time.Second)
				var evt event.Event
				if err := d.parse(at.Format(accessLog), &evt); err != nil {
					t.Error(err)
				}
				if got := evt.Enriched.Get("MarshaledTime"); got != at.Format(time.RFC3339) {
					t.Errorf("got %s, want %s", got, at)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzParseDate(f *testing.F) {
	for _, layout := range layouts {
		f.Add(clock().Format(layout), "")
		f.Add(layout, layout)
	}
	f.Add("1700000000.5", "2006")
	f.Add("2024-02-12 14:10:21,5 -0930 +0930", "")
	d := newDates(clock)
	f.Fuzz(func(t *testing.T, text, format string) { checkDate(t, d, text, format) })
}

func BenchmarkParseDate(b *testing.B) {
	for _, layout := range []string{accessLog, syslog, time.RFC3339} {
		texts := make([]string, 1000)
		for i := range texts {
			texts[i] = clock().Add(time.Duration(i) * time.Second).Format(layout)
		}
		for name, lines := range map[string]int{"each second one line": 1, "each second a hundred lines": 100} {
			b.Run(layout+"/"+name, func(b *testing.B) {
				d := newDates(time.Now)
				evt := &event.Event{}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := d.parse(texts[i/lines%len(texts)], evt); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
