package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/bucket"
	"gabion/userspace/event"
	"gabion/userspace/source"
)

// stateRules are rules of which buckets are alive for a while.
func stateRules() fs.FS {
	return ruleFiles(map[string]string{
		"a.yaml": scenario("a", "filter: evt.Meta.log_type == 'a'\nblackhole: 20s"),
		"b.yaml": scenario("b", "filter: evt.Meta.log_type in ['a', 'b']\ndistinct: evt.Parsed.seconds"),
		"c.yaml": "type: conditional\nname: c\ndescription: d\nfilter: 'true'\ngroupby: evt.Meta.source_ip\ncapacity: -1\nleakspeed: 1h\n" +
			"condition: count(queue.Queue, .Meta.log_type == 'c') >= 4 and queue.Queue[0].Meta.log_type != 'c'\n",
	})
}

// replayed returns a batch of replayed lines.
func replayed(lines []string) source.Batch {
	var b source.Batch
	for _, l := range lines {
		b.Events = append(b.Events, &event.Event{ExpectMode: event.Replay, Process: true, Line: event.Line{Raw: l, Module: "file"}})
	}
	return b
}

// mustRun runs lines through an engine and closes it.
func mustRun(t *testing.T, e *Engine, lines []string) {
	t.Helper()
	e.Start()
	for part := range slices.Chunk(lines, 50) {
		if err := e.Emit(replayed(part)); err != nil {
			t.Fatal(err)
		}
	}
	e.Close()
}

func TestAnEngineGoesOnWhereTheOneBeforeStopped(t *testing.T) {
	set, profiles := mustLoad(t, stateRules())
	lines := strings.Split(strings.TrimSpace(mixed(3000)), "\n")
	const half = 1500
	config := func(shards int, to *sink) Config {
		return Config{Rules: set, Profiles: profiles, Workers: 2, Shards: shards, Now: testNow, Sink: to.take}
	}
	var whole, first, second sink
	mustRun(t, New(config(1, &whole)), lines)

	before := New(config(3, &first))
	mustRun(t, before, lines[:half])
	var file bytes.Buffer
	if err := before.Save(context.Background(), &file, testNow()); err != nil {
		t.Fatal(err)
	}
	after := New(config(2, &second))
	found, err := after.Restore(&file, testNow())
	if err != nil {
		t.Fatal(err)
	}
	if want := before.Stats().Buckets.Live; uint64(found.Buckets) != want || want < 50 {
		t.Errorf("restored %+v, want %d buckets", found, want)
	}
	mustRun(t, after, lines[half:])

	messages := func(sinks ...*sink) (out []string) {
		for _, s := range sinks {
			for _, a := range s.alerts {
				out = append(out, fmt.Sprintf("%s %d events %v", a.Message, len(a.Events), a.Events))
			}
		}
		slices.Sort(out) // alerts of different shards come in no order
		return out
	}
	want := messages(&whole)
	if len(want) < 100 || len(first.alerts) == len(want) {
		t.Fatalf("%d and %d alerts: the test proves nothing", len(want), len(first.alerts))
	}
	if diff := cmp.Diff(want, messages(&first, &second)); diff != "" {
		t.Errorf("alerts (-uninterrupted +interrupted):\n%s", diff)
	}
}

func TestARunningEngineIsSavedBetweenItsJobs(t *testing.T) {
	set, profiles := mustLoad(t, stateRules())
	var got sink
	e := New(Config{Rules: set, Profiles: profiles, Workers: 2, Shards: 2, Now: testNow, Sink: got.take})
	e.Start()
	lines := strings.Split(strings.TrimSpace(mixed(5000)), "\n")
	saved := make(chan []byte)
	stop := make(chan struct{})
	go func() {
		defer close(saved)
		for {
			var file bytes.Buffer
			if err := e.Save(context.Background(), &file, testNow()); err != nil {
				t.Errorf("save = %v", err)
				return
			}
			select {
			case saved <- file.Bytes():
			case <-stop:
				return
			}
		}
	}()
	for part := range slices.Chunk(lines, 10) {
		if err := e.Emit(replayed(part)); err != nil {
			t.Fatal(err)
		}
		select {
		case file := <-saved:
			restored := New(Config{Rules: set, Profiles: profiles, Now: testNow})
			if _, err := restored.Restore(bytes.NewReader(file), testNow()); err != nil {
				t.Fatal(err)
			}
			restored.release()
		default:
		}
	}
	close(stop)
	for range saved {
	}
	e.Close()
}

func TestASaveThatIsGivenUpLeavesTheEngineRunning(t *testing.T) {
	set, profiles := mustLoad(t, stateRules())
	var got sink
	e := New(Config{Rules: set, Profiles: profiles, Now: testNow, Sink: got.take})
	e.Start()
	if err := e.Emit(replayed(strings.Split(mixed(500), "\n"))); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if err := e.Save(context.Background(), failingWriter{full}, testNow()); !errors.Is(err, full) {
		t.Errorf("save = %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(full)
	if err := e.Save(ctx, io.Discard, testNow()); err != nil && !errors.Is(err, full) {
		t.Errorf("save = %v", err)
	}
	var file bytes.Buffer
	if err := e.Save(context.Background(), &file, testNow()); err != nil {
		t.Errorf("save after failures = %v", err)
	}
	e.Close()
	if err := e.Save(context.Background(), &file, testNow()); err != nil {
		t.Errorf("save of a closed engine = %v", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestAnEngineStartsEmptyWhenWhatWasSavedIsDamaged(t *testing.T) {
	set, profiles := mustLoad(t, stateRules())
	e := New(Config{Rules: set, Profiles: profiles, Now: testNow})
	mustRun(t, e, strings.Split(mixed(100), "\n")[:6])
	var file bytes.Buffer
	if err := e.Save(context.Background(), &file, testNow()); err != nil {
		t.Fatal(err)
	}
	again := New(Config{Rules: set, Profiles: profiles, Now: testNow})
	_, err := again.Restore(bytes.NewReader(file.Bytes()[:file.Len()-1]), testNow())
	if !errors.Is(err, bucket.ErrDamaged) {
		t.Errorf("restore = %v", err)
	}
	if got := again.Stats().Buckets; got != (bucket.Stats{}) {
		t.Errorf("the engine has %+v", got)
	}
	mustRun(t, again, nil)
}
