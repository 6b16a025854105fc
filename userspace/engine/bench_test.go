package engine

import (
	"fmt"
	"testing"

	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/source"
)

// benchBatches returns batches of n lines from many sources.
func benchBatches(count, n int) []source.Batch {
	var out []source.Batch
	for i := range count {
		var b source.Batch
		for k := range n {
			b.Events = append(b.Events, &event.Event{Line: event.Line{
				Raw: fmt.Sprintf("%d 192.0.2.%d try", i, (i*n+k)%256), Module: "file",
			}})
		}
		out = append(out, b)
	}
	return out
}

func BenchmarkEngine(b *testing.B) {
	set, profiles := mustLoad(b, ruleFiles(map[string]string{"s.yaml": scenario("s", "filter: evt.Meta.log_type == 'try'\nblackhole: 1m")}))
	const lines = 256
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("%d workers", workers), func(b *testing.B) {
			e := New(Config{Rules: set, Profiles: profiles, Workers: workers, Shards: workers, Now: testNow, Sink: func(*decision.Alert) {}})
			e.Start()
			batches := benchBatches(b.N, lines)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if err := e.Emit(batches[i]); err != nil {
					b.Fatal(err)
				}
				batches[i].Events = nil
			}
			e.Close()
			b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkLineToSink is the time from handing over one line to the decision on it.
func BenchmarkLineToSink(b *testing.B) {
	set, profiles := mustLoad(b, ruleFiles(map[string]string{
		"s.yaml": "type: trigger\nname: s\ndescription: d\nfilter: evt.Meta.log_type == 'try'\nlabels: {remediation: true}\n",
	}))
	decided := make(chan struct{}, 1)
	e := New(Config{Rules: set, Profiles: profiles, Workers: 2, Shards: 2, Now: testNow, Sink: func(*decision.Alert) { decided <- struct{}{} }})
	e.Start()
	batches := benchBatches(b.N, 1)
	b.ResetTimer()
	for i := range b.N {
		if err := e.Emit(batches[i]); err != nil {
			b.Fatal(err)
		}
		<-decided
	}
	e.Close()
}
