package inputs

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"gabion/userspace/daemon/health"
	"gabion/userspace/event"
	"gabion/userspace/source"
)

// failing is a source that fails a number of times before it works.
type failing struct {
	failures int
	runs     []time.Time
}

func (f *failing) String() string { return "failing" }

func (f *failing) Run(ctx context.Context, emit source.Emit) error {
	f.runs = append(f.runs, time.Now())
	if len(f.runs) <= f.failures {
		return errors.New("permission denied")
	}
	if err := emit(source.Batch{Events: make([]*event.Event, 3)}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func TestAFailedSourceIsStartedAgainWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &failing{failures: 8}
		in := &Input{name: "failing", source: src}
		log := slog.New(slog.DiscardHandler)
		board := health.New(log)
		var batches []source.Batch
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- in.Run(ctx, func(b source.Batch) error { batches = append(batches, b); return nil }, log, board)
		}()
		time.Sleep(time.Second / 2)
		if st := in.Status(); st.Error != "permission denied" || len(board.List()) != 1 {
			t.Errorf("status = %+v, problems = %v", st, board.List())
		}
		time.Sleep(10 * time.Minute)
		st := in.Status()
		if st.Restarts != 8 || st.Events != 3 || !st.Running || st.Error != "" || len(board.List()) != 0 {
			t.Errorf("status = %+v, problems = %v", st, board.List())
		}
		for i := 1; i < len(src.runs); i++ {
			if want := min(firstPause<<(i-1), lastPause); src.runs[i].Sub(src.runs[i-1]) != want {
				t.Errorf("pause %d = %s, want %s", i, src.runs[i].Sub(src.runs[i-1]), want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if in.emitted.Load() != 1 || in.done.Load() != 0 {
			t.Errorf("emitted %d, done %d", in.emitted.Load(), in.done.Load())
		}
		batches[0].Done()
		if in.done.Load() != 1 {
			t.Error("done was not counted")
		}
	})
}

func TestTheWatchdogIsFedOnlyWhileBatchesGetThrough(t *testing.T) {
	in := &Input{name: "test", source: &failing{}}
	alive := Moving([]*Input{in})
	for _, tt := range []struct {
		name          string
		emitted, done uint64
		ok            bool
	}{
		{"nothing was read yet", 0, 0, true},
		{"the first batch is under way", 1, 0, true},
		{"it is still under way", 1, 0, false},
		{"it got through", 1, 1, true},
		{"idle", 1, 1, true},
		{"more is read than done", 9, 4, true},
		{"nothing got through since", 12, 4, false},
		{"it moves again", 12, 5, true},
	} {
		in.emitted.Store(tt.emitted)
		in.done.Store(tt.done)
		if err := alive(); (err == nil) != tt.ok {
			t.Errorf("%s: alive = %v, want ok %v", tt.name, err, tt.ok)
		}
	}
}

// slow is a source that says when it knows where to begin.
type slow struct {
	failing
	positioned chan struct{}
}

func (s *slow) Positioned() <-chan struct{} { return s.positioned }

func TestTheStartWaitsForSourcesThatSayWhereTheyBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		New("cannot tell", &failing{}).AwaitPosition(ctx)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %s for a source that cannot tell", waited)
		}
		src := &slow{positioned: make(chan struct{})}
		time.AfterFunc(time.Second, func() { close(src.positioned) })
		New("slow", src).AwaitPosition(ctx)
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("waited %s, want until it knows", waited)
		}
		New("never", &slow{}).AwaitPosition(ctx)
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited %s, want the bound", waited)
		}
	})
}
