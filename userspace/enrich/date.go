package enrich

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"gabion/userspace/event"
)

// maxDate bounds the text that is tried: no date is longer.
const maxDate = 128

// dates reads the dates of log lines. Lines of one moment carry the same text, so it remembers what
// texts it has read: reading depends on nothing but the text, the format and, for a date without a
// year, the present one.
type dates struct {
	now  func() time.Time
	read [readSlots]atomic.Pointer[readDate]
}

// readSlots is the number of texts that are remembered, by hash.
const readSlots = 64

// readDate is a text that was read as a date.
type readDate struct {
	text, format string
	at           time.Time // without a year as it was read
	year         int       // that was added; 0 when the text has its own
	marshaled    string    // at, with the year, in RFC 3339
}

func newDates(now func() time.Time) *dates { return &dates{now: now} }

// parse stores the time that value tells as MarshaledTime. In a replay it is the event's time as
// well. A text that is no date gives the present.
func (d *dates) parse(value string, evt *event.Event) error {
	slot := d.slot(value)
	known := slot.Load()
	if known == nil || known.text != value || known.format != evt.StrTimeFormat || known.year != 0 && known.year != d.year() {
		if known = d.interpret(value, evt.StrTimeFormat); known == nil {
			evt.Enriched.Set("MarshaledTime", d.now().UTC().Format(time.RFC3339Nano))
			return nil
		}
		slot.Store(known)
	}
	if evt.ExpectMode == event.Replay {
		evt.Time = known.at
	}
	evt.Enriched.Set("MarshaledTime", known.marshaled)
	return nil
}

// slot returns the place of a text. Dates of one source differ in their last figures.
func (d *dates) slot(text string) *atomic.Pointer[readDate] {
	hash := uint32(len(text))
	for i := max(len(text)-12, 0); i < len(text); i++ {
		hash = hash*31 + uint32(text[i])
	}
	return &d.read[(hash^hash>>6)%readSlots]
}

func (d *dates) year() int { return d.now().UTC().Year() }

// interpret reads a text as a date, or returns nil.
func (d *dates) interpret(text, format string) *readDate {
	t, ok := readText(text, format)
	if !ok {
		return nil
	}
	r := &readDate{text: strings.Clone(text), format: strings.Clone(format)} // not the block of the log
	if t.Year() == 0 {
		r.year = d.year()
		t = t.AddDate(r.year, 0, 0)
	}
	r.at, r.marshaled = t, t.Format(time.RFC3339Nano)
	return r
}

// readText reads a text in a format of its own, when there is one, then in the layouts that its shape
// allows, then as a number.
func readText(text, format string) (time.Time, bool) {
	if text == "" || len(text) > maxDate {
		return time.Time{}, false
	}
	if format != "" {
		if t, err := time.Parse(format, text); err == nil && !t.IsZero() {
			return t, true
		}
	}
	for _, layout := range allowed(text) {
		if t, err := time.Parse(layout, text); err == nil && !t.IsZero() {
			return t, true
		}
	}
	return readUnix(text)
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
