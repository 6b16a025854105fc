package event_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"gabion/userspace/event"
)

// names are those of events about a login and about a web request.
var names = []string{
	"timestamp", "timestamp8601", "facility", "priority", "logsource", "program", "pid", "message", "sshd_invalid_user", "sshd_client_ip",
	"remote_addr", "remote_user", "verb", "request", "http_version", "status", "body_bytes_sent", "http_referer", "http_user_agent", "target_fqdn",
	"log_type", "service", "source_ip", "target_user", "machine", "datasource_type", "datasource_path", "http_path", "http_args_len", "time_local",
}

func TestFieldsBehaveLikeAMap(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom(names), rapid.StringMatching("[ab]{0,3}"), rapid.StringN(0, 40, -1))
	rapid.Check(t, func(t *rapid.T) {
		var f event.Fields
		want := map[string]string{}
		var order []string
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			n, v := name.Draw(t, "name"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "value")
			if rapid.IntRange(0, 60).Draw(t, "reset") == 60 {
				f.Reset()
				clear(want)
				order = nil
			}
			if _, known := want[n]; !known {
				order = append(order, n)
			}
			want[n] = v
			f.Set(n, v)
			probe := name.Draw(t, "probe")
			got, ok := f.Lookup(probe)
			if wantValue, wantOK := want[probe]; got != wantValue || ok != wantOK || f.Get(probe) != wantValue {
				t.Fatalf("Lookup(%q) = %q, %v, want %q, %v", probe, got, ok, wantValue, wantOK)
			}
		}
		if f.Len() != len(want) || !maps.Equal(f.Map(), want) {
			t.Fatalf("fields = %v, want %v", f.Map(), want)
		}
		var got []string
		for n := range f.All() {
			got = append(got, n)
		}
		if !slices.Equal(got, order) {
			t.Fatalf("order = %q, want %q", got, order)
		}
	})
}

func TestACloneIsChangedOnItsOwn(t *testing.T) {
	for _, n := range []int{1, 8, 31, 32, 33, 100} {
		var f event.Fields
		for i := range n {
			f.Set(fmt.Sprint(i), "old")
		}
		c := f.Clone()
		c.Set("0", "new")
		c.Set("more", "x")
		f.Set("other", "y")
		if f.Get("0") != "old" || c.Get("0") != "new" || c.Get("other") != "" || f.Get("more") != "" || c.Len() != n+1 || f.Len() != n+1 {
			t.Errorf("%d fields: original %v, clone %v", n, f.Map(), c.Map())
		}
	}
}

func TestAReusedEventAllocatesNothing(t *testing.T) {
	var f event.Fields
	keys := keysOf(names)
	if n := testing.AllocsPerRun(100, func() {
		f.Reset()
		for _, k := range keys {
			f.SetKey(k, "value")
		}
	}); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestFieldsWithManyNamesOfTheSameTag(t *testing.T) {
	var f event.Fields
	for i := range 32 {
		f.Set(fmt.Sprintf("a%02d%02da", i, i%2), fmt.Sprint(i)) // first, middle and last byte and the length are equal
	}
	for i := range 32 {
		if got := f.Get(fmt.Sprintf("a%02d%02da", i, i%2)); got != fmt.Sprint(i) {
			t.Errorf("field %d = %q", i, got)
		}
	}
}

func keysOf(names []string) (keys []event.Key) {
	for _, n := range names {
		keys = append(keys, event.NewKey(n))
	}
	return keys
}

func BenchmarkFields(b *testing.B) {
	for _, n := range []int{10, 20, 30} {
		keys := keysOf(names[:n])
		var f event.Fields
		fill := func() {
			f.Reset()
			for _, k := range keys {
				f.SetKey(k, "value")
			}
		}
		fill()
		b.Run(fmt.Sprintf("get of %d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				f.GetKey(keys[i%n])
			}
		})
		missing := event.NewKey("no such field")
		b.Run(fmt.Sprintf("get none of %d", n), func(b *testing.B) {
			for b.Loop() {
				f.GetKey(missing)
			}
		})
		b.Run(fmt.Sprintf("fill %d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fill()
			}
		})
		b.Run(fmt.Sprintf("clone %d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Clone()
			}
		})
	}
}
