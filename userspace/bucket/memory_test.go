package bucket

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

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
		perBucket = float64(after.HeapAlloc-before.HeapAlloc) / n
		estimate = float64(h.table.Stats().Bytes) / n
		runtime.KeepAlive(h)
	}
	b.ReportMetric(perBucket, "B/bucket")
	b.ReportMetric(estimate, "estimated-B/bucket")
}
