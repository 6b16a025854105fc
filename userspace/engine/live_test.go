package engine

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gabion/userspace/event"
	"gabion/userspace/source"
)

func TestALiveEngineForgetsBucketsThatLeakedEmpty(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"s.yaml": scenario("s", "filter: 'true'")}))
	synctest.Test(t, func(t *testing.T) {
		var got sink
		e := New(Config{Rules: set, Profiles: profiles, Shards: 2, Now: time.Now, Sink: got.take})
		e.Start()
		defer e.Close()
		emit := func() {
			if err := e.Emit(batch(nil, "1 192.0.2.1 x", "1 192.0.2.2 x")); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		emit()
		time.Sleep(29 * time.Second)
		emit()
		if got := e.Stats().Buckets; got.Live != 2 || got.Poured != 4 {
			t.Errorf("after two batches: %+v", got)
		}
		time.Sleep(32 * time.Second)
		synctest.Wait()
		if got := e.Stats().Buckets; got.Live != 0 || got.Expired != 2 {
			t.Errorf("after the lifetime: %+v", got)
		}
		if len(got.alerts) != 0 {
			t.Errorf("alerts = %v, want none: the first event leaked before the second came", got.alerts)
		}
	})
}

func TestArrivalTimeOfASourceCounts(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"s.yaml": scenario("s", "filter: 'true'")}))
	var got sink
	e := New(Config{Rules: set, Profiles: profiles, Now: testNow, Sink: got.take})
	e.Start()
	for i := range 3 {
		at := testNow().Add(time.Duration(i) * time.Second)
		err := e.Emit(source.Batch{Events: []*event.Event{{Line: event.Line{Raw: "1 192.0.2.1 x", Time: at}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	e.Close()
	if len(got.alerts) != 1 || got.alerts[0].StopAt.Sub(got.alerts[0].StartAt) != 2*time.Second {
		t.Errorf("alerts = %v, want one over 2 s", got.alerts)
	}
}

func TestGarbageChangesNothing(t *testing.T) {
	files := ruleFiles(map[string]string{"s.yaml": scenario("s", "filter: 'true'")})
	good := func(i int) string { return fmt.Sprintf("%d 192.0.2.1 x\n", i) }
	garbage := "\x00\x00\n\xff\xfe\n" + strings.Repeat("9", 3<<20) + "\n1 not-an-address x\n" + "1 192.0.2.1\n99999999999999999999 nobody x\n\r\n"
	got, totals := mustReplay(t, files, good(1)+garbage+good(2)+garbage+good(3)+garbage, ReplayOptions{Now: testNow()})
	if want := "00:00:03 ban 192.0.2.1 4h s"; len(got) != 1 || got[0] != want {
		t.Errorf("decisions = %q, want %q", got, want)
	}
	if totals.CutLines != 3 || totals.Lines != 3*7 {
		t.Errorf("totals = %+v", totals)
	}
}

func TestOnlyTriggersCountReplayedLinesWithoutATime(t *testing.T) {
	undated, _, _ := strings.Cut(base, "  - target: evt.StrTime")
	files := ruleFiles(map[string]string{
		"s.yaml": scenario("s", "filter: 'true'"), "parser.yaml": undated,
		"t.yaml": "type: trigger\nname: t\ndescription: d\nfilter: 'true'\nblackhole: 1h\nlabels: {remediation: true}\n",
	})
	got, totals := mustReplay(t, files, strings.Repeat("1 192.0.2.1 x\n", 3), ReplayOptions{Now: testNow().Add(time.Hour)})
	if want := "01:00:00 ban 192.0.2.1 4h t"; len(got) != 1 || got[0] != want {
		t.Errorf("decisions = %q, want %q", got, want)
	}
	if totals.Undated != 3 {
		t.Errorf("%d undated lines, want 3", totals.Undated)
	}
}
