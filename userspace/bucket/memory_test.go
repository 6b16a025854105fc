package bucket

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// block is what a source reads at once; the strings of its events are slices of it.
const block = 64 << 10

// sliced returns an event about an address whose strings are all slices of one block.
func sliced(ip string) *event.Event {
	fields := []string{ip, "198.51.100.0/24", "ssh_failed-auth", "root", "Failed password", "2024-01-01T00:00:00Z", "a=" + ip, "AS64496", "64496"}
	text := strings.Join(fields, " ") + strings.Repeat(" ", block)
	next := func() (f string) {
		n := len(fields[0])
		f, text, fields = text[:n], text[n+1:], fields[1:]
		return f
	}
	e := &event.Event{ExpectMode: event.Live, Time: start}
	e.Meta = event.MakeFields("source_ip", next(), "SourceRange", next(), "log_type", next(), "user", next())
	e.Line.Raw, e.StrTime = next(), next()
	e.MarshaledTime = e.StrTime
	e.Parsed = event.MakeFields("pair", next())
	e.Enriched = event.MakeFields("ASNOrg", next(), "ASNumber", next())
	return e
}

// heap returns the bytes in use after make has run, besides those before.
func heap(make func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestWhatIsKeptDoesNotKeepTheBlocksOfTheLog(t *testing.T) {
	const blocks = 2000 // 125 MiB
	tables := []struct {
		name, yaml string
		keys       int
		most       int64 // bytes per block
	}{
		{"100,000 buckets", leaky("groupby: evt.Meta.source_ip + evt.Meta.user\ndistinct: evt.Meta.user + evt.Meta.source_ip"), 50, 50 * 600},
		{"buckets of whole events", strings.Replace(leaky("groupby: evt.Meta.source_ip\ncondition: 'false'"), "leaky", "conditional", 1), 1, 4096},
		{"blackholes", trigger("groupby: evt.Meta.source_ip\nblackhole: 1h"), 1, 512},
	}
	for _, tt := range tables {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, TableConfig{})
			s := mustCompile(t, tt.yaml)
			got := heap(func() {
				for i := range blocks {
					e := sliced(fmt.Sprintf("2001:db8::%x", i))
					for k := range tt.keys {
						e.Meta.Set("user", fmt.Sprint(k))
						h.pour(s, e)
					}
				}
			})
			if got += h.table.space.Size(); got > blocks*tt.most {
				t.Errorf("%d bytes are in use, want at most %d", got, blocks*tt.most)
			}
			runtime.KeepAlive(h)
		})
	}
}

func TestASourceDoesNotKeepTheRecordsOfItsAlert(t *testing.T) {
	const alerts = 2000
	s := mustCompile(t, trigger("groupby: evt.Meta.source_ip\nscope: {type: who, expression: evt.Meta.source_ip}"))
	h := newHarness(t, TableConfig{})
	var kept []decision.Source
	got := heap(func() {
		for i := range alerts {
			e := sliced(fmt.Sprintf("2001:db8::%x", i))
			e.Line.Raw = strings.Repeat("x", decision.MaxLine)
			kept = append(kept, *h.pour(s, e).Overflow.Alert.Source)
		}
	})
	if most := int64(alerts * 512); got > most {
		t.Errorf("%d bytes are in use, want at most %d", got, most)
	}
	runtime.KeepAlive(kept)
}

func BenchmarkMemoryOfLiveBuckets(b *testing.B) {
	const n = 200_000
	s := mustCompile(b, leaky("groupby: evt.Meta.source_ip\ncapacity: 5"))
	var perBucket, estimate float64
	for b.Loop() {
		h := newHarness(b, TableConfig{})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range n {
			e := live(at(time.Duration(i), fmt.Sprintf("2001:db8::%x", i), "log_type", "ssh_failed-auth", "service", "ssh", "target_user", "root",
				"machine", "edge1", "datasource_type", "file", "datasource_path", "/var/log/auth.log", "timestamp", "2026-02-12T14:10:00Z"))
			e.Line.Raw = fmt.Sprintf("Feb 12 14:10:00 edge1 sshd[4000]: Failed password for root from 2001:db8::%x port 40000 ssh2", i)
			h.pour(s, e)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		perBucket = float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)+h.table.space.Size()) / n
		estimate = float64(h.table.Stats().Bytes) / n
		runtime.KeepAlive(h)
	}
	b.ReportMetric(perBucket, "B/bucket")
	b.ReportMetric(estimate, "estimated-B/bucket")
}
