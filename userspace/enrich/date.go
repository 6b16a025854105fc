package enrich

import (
	"strconv"
	"strings"
	"time"

	"gabion/userspace/event"
)

// layout is a date format, and one character that tells quickly whether a text can have it.
type layout struct {
	format string
	at     int
	sign   byte
}

// layouts are tried in this order; the first that fits wins. Go's rules apply: seconds may have a
// fraction that the layout does not show, and a date without a zone is UTC.
var layouts = []layout{
	{time.RFC3339, 4, '-'},
	{"02/Jan/2006:15:04:05 -0700", 2, '/'},
	{"Mon Jan 2 15:04:05 2006", 3, ' '},
	{"02-Jan-2006 15:04:05 europe/paris", 2, '-'},
	{"01/02/2006 15:04:05", 2, '/'},
	{"2006-01-02 15:04:05.999999999 -0700 MST", 4, '-'},
	{"Jan  2 15:04:05", 3, ' '},
	{"Mon Jan 02 15:04:05.000000 2006", 3, ' '},
	{"2006/01/02", 4, '/'},
	{"2006/01/02 15:04", 4, '/'},
	{"2006-01-02", 4, '-'},
	{"2006-01-02 15:04", 4, '-'},
	{"2006/01/02 15:04:05", 4, '/'},
	{"2006-01-02 15:04:05", 4, '-'},
	{"2006-01-02T15:04:05", 4, '-'},
}

// maxDate bounds the text that is tried: no date is longer.
const maxDate = 128

// dates reads the dates of log lines.
type dates struct {
	now func() time.Time
}

// parse stores the time that value tells as MarshaledTime. In a replay it is the event's time as
// well. A text that is no date gives the present.
func (d dates) parse(value string, evt *event.Event) error {
	t, ok := d.read(value, evt.StrTimeFormat)
	if !ok {
		t = d.now().UTC()
	} else if evt.ExpectMode == event.Replay {
		evt.Time = t
	}
	evt.Enriched.Set("MarshaledTime", t.Format(time.RFC3339Nano))
	return nil
}

// read parses value in the format of its own, when there is one, then in the known ones.
func (d dates) read(value, format string) (time.Time, bool) {
	if value == "" || len(value) > maxDate {
		return time.Time{}, false
	}
	if format != "" {
		if t, err := time.Parse(format, value); err == nil && !t.IsZero() {
			return d.withYear(t), true
		}
	}
	for _, l := range layouts {
		if len(value) <= l.at || value[l.at] != l.sign {
			continue
		}
		if t, err := time.Parse(l.format, value); err == nil && !t.IsZero() {
			return d.withYear(t), true
		}
	}
	return readUnix(value)
}

// withYear adds the present year to a date that has none.
func (d dates) withYear(t time.Time) time.Time {
	if t.Year() == 0 {
		return t.AddDate(d.now().UTC().Year(), 0, 0)
	}
	return t
}

// readUnix reads seconds since 1970; a fraction is dropped. Numbers too large for seconds of any
// log are milli-, micro- or nanoseconds.
func readUnix(value string) (time.Time, bool) {
	whole, _, _ := strings.Cut(value, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	const year5138 = 1e11 // seconds
	switch {
	case n < year5138:
		return time.Unix(n, 0).UTC(), true
	case n < year5138*1e3:
		return time.UnixMilli(n).UTC(), true
	case n < year5138*1e6:
		return time.UnixMicro(n).UTC(), true
	}
	return time.Unix(0, n).UTC(), true
}
