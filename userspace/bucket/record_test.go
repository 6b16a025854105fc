package bucket

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

func TestARecordGivesBackWhatWasPacked(t *testing.T) {
	names := NewNames() // of all records, so that it fills up
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringN(0, 3*maxValue, -1), rapid.StringMatching("[a-c]"))
		evt := &event.Event{
			MarshaledTime: rapid.OneOf(rapid.String(), rapid.StringMatching("[a-c]")).Draw(t, "time"), Line: event.Line{Raw: text.Draw(t, "line")},
			Enriched: event.MakeFields("IsoCode", rapid.String().Draw(t, "country")),
		}
		meta := rapid.MapOfN(rapid.OneOf(rapid.StringN(0, 100, -1), rapid.StringMatching("[a-c]")), text, 0, 10).Draw(t, "meta")
		meta["source_ip"] = "192.0.2.1"
		maps.DeleteFunc(meta, func(k, _ string) bool { return strings.HasPrefix(k, contextMark) })
		for k, v := range meta {
			evt.Meta.Set(k, v)
		}
		var context []decision.Meta
		for _, v := range rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "context") {
			context = append(context, decision.Meta{Key: "path", Value: cut(v, maxValue)})
		}
		at := rapid.Int64().Draw(t, "at")
		when := cut(evt.MarshaledTime, maxValue)
		if when == "" {
			when = stamp(at).Format(time.RFC3339Nano)
		}
		got := unpack(pack(evt, at, context, names), names)
		if got.at != at || got.line != cut(evt.Line.Raw, decision.MaxLine) || got.timestamp != when ||
			got.sourceMeta[0] != "192.0.2.1" || got.enriched("IsoCode") != cut(evt.Enriched.Get("IsoCode"), maxValue) {
			t.Fatalf("unpacked %+v", got)
		}
		var want []decision.Meta
		size := 0
		for _, k := range slices.Sorted(maps.Keys(meta)) {
			want = append(want, decision.Meta{Key: k, Value: cut(meta[k], maxValue)})
			size += len(k) + len(cut(meta[k], maxValue)) + 6
		}
		if size < maxRecord-3*maxValue {
			if diff := cmp.Diff(want, got.meta); diff != "" {
				t.Fatalf("metadata (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(context, got.context); diff != "" {
				t.Fatalf("context (-want +got):\n%s", diff)
			}
		}
	})
}

func TestCutKeepsWholeCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, n := rapid.String().Draw(t, "text"), rapid.IntRange(utf8.UTFMax, 40).Draw(t, "length")
		got := cut(s, n)
		if len(got) > n || !utf8.ValidString(got) || len(s) > n && len(got) <= n-utf8.UTFMax {
			t.Fatalf("cut(%q, %d) = %q", s, n, got)
		}
	})
	if got := cut("\x80\x80\x80\x80\x80\x80", 5); len(got) != 5 {
		t.Errorf("invalid text is cut to %d bytes, want 5", len(got))
	}
}
