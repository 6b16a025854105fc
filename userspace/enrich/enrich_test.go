package enrich

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
)

func clock() time.Time { return time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC) }

func TestParseDate(t *testing.T) {
	const now = "2024-06-01T12:00:00Z"
	for _, tt := range []struct{ name, in, format, want string }{
		{"RFC 3339", "2024-02-12T14:10:21Z", "", "2024-02-12T14:10:21Z"},
		{"RFC 3339 with an offset", "2024-02-12T14:10:21+01:00", "", "2024-02-12T14:10:21+01:00"},
		{"RFC 3339 with a fraction", "2024-02-12T14:10:21.123456789Z", "", "2024-02-12T14:10:21.123456789Z"},
		{"an access log", "12/Feb/2024:14:10:21 +0100", "", "2024-02-12T14:10:21+01:00"},
		{"ctime", "Mon Feb 12 14:10:21 2024", "", "2024-02-12T14:10:21Z"},
		{"ctime with a padded day", "Mon Feb  2 14:10:21 2024", "", "2024-02-02T14:10:21Z"},
		{"an Apache error log", "Mon Feb 12 14:10:21.123456 2024", "", "2024-02-12T14:10:21.123456Z"},
		{"a month name with a place", "12-Feb-2024 14:10:21 europe/paris", "", "2024-02-12T14:10:21Z"},
		{"month first", "02/12/2024 14:10:21", "", "2024-02-12T14:10:21Z"},
		{"with offset and zone name", "2024-02-12 14:10:21.5 +0100 CET", "", "2024-02-12T14:10:21.5+01:00"},
		{"syslog has no year", "Feb 12 14:10:21", "", "2024-02-12T14:10:21Z"},
		{"syslog with a padded day", "Feb  2 14:10:21", "", "2024-02-02T14:10:21Z"},
		{"a month that is still to come stays in this year", "Dec 31 23:59:59", "", "2024-12-31T23:59:59Z"},
		{"a day with slashes", "2024/02/12", "", "2024-02-12T00:00:00Z"},
		{"minutes with slashes", "2024/02/12 14:10", "", "2024-02-12T14:10:00Z"},
		{"seconds with slashes", "2024/02/12 14:10:21", "", "2024-02-12T14:10:21Z"},
		{"a day", "2024-02-12", "", "2024-02-12T00:00:00Z"},
		{"minutes", "2024-02-12 14:10", "", "2024-02-12T14:10:00Z"},
		{"seconds", "2024-02-12 14:10:21", "", "2024-02-12T14:10:21Z"},
		{"a comma before the fraction", "2024-02-12 14:10:21,123", "", "2024-02-12T14:10:21.123Z"},
		{"T and no zone", "2024-02-12T14:10:21", "", "2024-02-12T14:10:21Z"},
		{"the event's own format comes first", "12.02.24 14h10", "02.01.06 15h04", "2024-02-12T14:10:00Z"},
		{"a format that does not fit is not the end", "2024-02-12", "02.01.06", "2024-02-12T00:00:00Z"},
		{"a format that is garbage", "2024-02-12", "garbage", "2024-02-12T00:00:00Z"},
		{"seconds since 1970", "1700000000", "", "2023-11-14T22:13:20Z"},
		{"seconds with a fraction", "1700000000.987", "", "2023-11-14T22:13:20Z"},
		{"milliseconds", "1700000000123", "", "2023-11-14T22:13:20.123Z"},
		{"microseconds", "1700000000123456", "", "2023-11-14T22:13:20.123456Z"},
		{"nanoseconds", "1700000000123456789", "", "2023-11-14T22:13:20.123456789Z"},
		{"nothing is now", "", "", now},
		{"garbage is now", "yesterday", "", now},
		{"zero is now", "0", "", now},
		{"a negative number is now", "-5", "", now},
		{"a day that does not exist is now", "2024-02-31", "", now},
		{"the zero time is now", "0001-01-01T00:00:00Z", "", now},
	} {
		t.Run(tt.name, func(t *testing.T) {
			evt := &event.Event{StrTimeFormat: tt.format, Time: clock(), ExpectMode: event.Replay}
			if err := Methods(Deps{Now: clock})["ParseDate"](tt.in, evt); err != nil {
				t.Fatal(err)
			}
			if got := evt.Enriched.Get("MarshaledTime"); got != tt.want {
				t.Errorf("MarshaledTime = %s, want %s", got, tt.want)
			}
			if text := evt.Time.Format(time.RFC3339Nano); text != tt.want {
				t.Errorf("time of a replayed event = %s, want %s", text, tt.want)
			}
		})
	}
}

func TestParseDateLeavesTimeOfLiveEvents(t *testing.T) {
	evt := &event.Event{Time: clock()}
	if err := Methods(Deps{Now: clock})["ParseDate"]("2020-01-01", evt); err != nil {
		t.Fatal(err)
	}
	if !evt.Time.Equal(clock()) {
		t.Errorf("time = %v, want the arrival time", evt.Time)
	}
}

func TestUnmarshalJSON(t *testing.T) {
	m := Methods(Deps{Now: clock})["UnmarshalJSON"]
	evt := &event.Event{Line: event.Line{Raw: `{"a":{"b":[1,"x"]}}`}}
	if err := m("ignored", evt); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": map[string]any{"b": []any{1.0, "x"}}}
	if diff := cmp.Diff(want, evt.Unmarshaled); diff != "" {
		t.Errorf("Unmarshaled (-want +got):\n%s", diff)
	}
	evt.Line.Raw = `{"a":`
	if err := m("", evt); err == nil {
		t.Error("a half line should be an error")
	}
}
