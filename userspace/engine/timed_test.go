package engine

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const counting = `type: counter
name: c
description: d
filter: evt.GetType() == 'log'
groupby: evt.Meta.source_ip
capacity: -1
duration: 20s
reprocess: true
labels: {remediation: true}
`

// again counts the overflows of the counter.
const again = `type: trigger
name: again
description: d
filter: evt.GetType() == 'overflow' && evt.Overflow.Alert.Scenario == 'c' && evt.Overflow.Alert.EventsCount > 1
`

func TestCountersOfAReplayOverflowInTheTimeOfTheLog(t *testing.T) {
	files := ruleFiles(map[string]string{"c.yaml": counting, "again.yaml": again})
	log := "1 192.0.2.1 x\n2 192.0.2.2 x\n3 192.0.2.1 x\n21 192.0.2.2 x\n40 192.0.2.3 x\n41 192.0.2.3 x\n"
	want := []string{"00:00:21 ban 192.0.2.1 4h c", "00:00:22 ban 192.0.2.2 4h c"}
	var first []string
	for _, workers := range []int{1, 2, 4} {
		for _, shards := range []int{1, 2, 5} {
			got, totals := mustReplay(t, files, log, ReplayOptions{Workers: workers, Shards: shards})
			var bans []string
			for _, line := range got {
				if strings.HasSuffix(line, " c") {
					bans = append(bans, line)
				}
			}
			if diff := cmp.Diff(want, bans); diff != "" {
				t.Errorf("%d workers, %d shards: decisions (-want +got):\n%s", workers, shards, diff)
			}
			if first == nil {
				first = got
			}
			if diff := cmp.Diff(first, got); diff != "" || totals.Alerts != 4 {
				t.Errorf("%d workers, %d shards: %d alerts, not what one of each gives (-want +got):\n%s", workers, shards, totals.Alerts, diff)
			}
		}
	}
}

func TestManyCountersOverflowInTheSameOrderForAnyNumberOfShards(t *testing.T) {
	files := ruleFiles(map[string]string{"c.yaml": counting})
	var log strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&log, "%d 192.0.2.%d x\n", i/7, i*31%250)
	}
	want, _ := mustReplay(t, files, log.String(), ReplayOptions{})
	if len(want) < 1000 {
		t.Fatalf("only %d decisions", len(want))
	}
	for _, n := range []int{2, 3} {
		got, _ := mustReplay(t, files, log.String(), ReplayOptions{Workers: n, Shards: n})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d shards (-want +got):\n%s", n, diff)
		}
	}
}

func TestALiveCounterOverflowsWithoutAnotherEvent(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"c.yaml": counting, "again.yaml": again}))
	synctest.Test(t, func(t *testing.T) {
		var got sink
		e := New(Config{Rules: set, Profiles: profiles, Shards: 2, Now: time.Now, Sink: got.take})
		e.Start()
		defer e.Close()
		if err := e.Emit(batch(nil, "1 192.0.2.1 x", "1 192.0.2.1 x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(19 * time.Second)
		synctest.Wait()
		if alerts := got.list(); len(alerts) != 0 {
			t.Errorf("alerts = %v before the end", alerts)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if alerts := got.list(); len(alerts) != 2 || alerts[0].EventsCount != 2 || alerts[1].Scenario != "again" {
			t.Errorf("alerts = %v, want that of the counter and one that it leads to", alerts)
		}
		if live := e.Stats().Buckets.Live; live != 0 {
			t.Errorf("%d buckets live on", live)
		}
	})
}
