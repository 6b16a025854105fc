// Package engine runs events through parsers and scenarios, and the alerts that follow through
// post-overflow rules and profiles to whoever enforces them.
//
// A batch of events is parsed and matched by one of several workers. The sequencer gives batches
// back in the order in which they came and spreads their matches over the shards, by scenario and
// key. A shard owns the buckets of its keys: it pours, and when a bucket overflows it takes the
// decision and calls the sink, all in one goroutine. Queues are bounded and block, which slows the
// sources. The same input gives the same alerts for any number of workers and shards.
package engine

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/parse"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
	"gabion/userspace/source"
)

// Config says what an Engine does and how large it may grow.
type Config struct {
	Rules      *rules.Set
	Profiles   *profile.Profiles // nil: alerts lead to no decisions
	Workers    int               // 0 means 1
	Shards     int               // 0 means 1
	MaxBuckets int               // live buckets of all shards; 0 means bucket.DefaultMaxBuckets
	Now        func() time.Time

	// Sink receives every alert with its decisions, on the goroutine of the shard that raised it:
	// what it does is done before the next event of that shard. It may be called by several
	// shards at once. It must not wait for the engine. IDs, UUID and machine are the sink's to set;
	// alerts of one overflow share their Events, which must not be changed.
	Sink func(*decision.Alert)
	Log  *slog.Logger // nil: silent

	tracer Tracer // nil but in a walk
}

// ErrClosed is returned by Emit once Close was called.
var ErrClosed = errors.New("engine is closed")

// Engine is the detection pipeline. Its methods may be called from any goroutine.
type Engine struct {
	config Config
	hasher bucket.Hasher
	names  *bucket.Names
	count  counters
	shards []*shard

	mu      sync.Mutex // guards what follows; Emit holds it while it waits for a place in the queues
	closed  bool
	started bool
	rules   *ruleset
	order   chan *job       // every job, in input order, for the sequencer
	work    chan *job       // jobs with events, for the workers
	last    <-chan struct{} // parsed of the last job whose rules are serial

	// deliver is nil in a live engine. A replay reads every job from it, in input order, and takes
	// the alerts once the job is finished; Sink is not called then, and the reader calls done.
	deliver chan *job

	latest time.Time // event time of replayed events so far; the sequencer's

	steps parse.Trace // of the tracer, nil without one

	ended   chan struct{}           // closed when the shards have ended
	current atomic.Pointer[ruleset] // the rules that new batches get, for Stats
	running sync.WaitGroup
	scratch sync.Pool // of jobs that have ended
}

// New returns an engine that does nothing until Start.
func New(config Config) *Engine { return newEngine(config, nil) }

func newEngine(config Config, deliver chan *job) *Engine {
	config.Workers, config.Shards = max(config.Workers, 1), max(config.Shards, 1)
	if config.Profiles == nil {
		config.Profiles = &profile.Profiles{}
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.MaxBuckets <= 0 {
		config.MaxBuckets = bucket.DefaultMaxBuckets
	}
	queue := 2*config.Workers + 2
	e := &Engine{
		config: config, hasher: bucket.NewHasher(), names: bucket.NewNames(), deliver: deliver,
		order: make(chan *job, queue), work: make(chan *job, queue), ended: make(chan struct{}),
	}
	e.use(newRuleset(config.Rules, config.Profiles, nil))
	if config.tracer != nil {
		e.steps = config.tracer.Step
	}
	for i := range config.Shards {
		s := &shard{
			engine: e, index: i, in: make(chan *job, queue), saves: make(chan *saving), table: e.newTable(e.hasher, e.names),
		}
		s.take = func(j *job) { s.in <- j }
		e.shards = append(e.shards, s)
	}
	return e
}

// newTable returns the table of one shard.
func (e *Engine) newTable(h bucket.Hasher, names *bucket.Names) *bucket.Table {
	config := bucket.TableConfig{MaxBuckets: max(1, e.config.MaxBuckets/e.config.Shards), Hasher: h, Names: names}
	if e.config.tracer != nil {
		config.Trace = e.config.tracer.Poured
	}
	return bucket.NewTable(config)
}

// Start starts the workers, the sequencer and the shards. They run until Close.
func (e *Engine) Start() {
	e.mu.Lock()
	e.started = true
	e.mu.Unlock()
	var workers, shards sync.WaitGroup
	for range e.config.Workers {
		workers.Go(e.runWorker)
	}
	for _, s := range e.shards {
		shards.Go(s.run)
	}
	e.running.Go(func() {
		e.runSequencer()
		workers.Wait()
		shards.Wait()
		close(e.ended)
		if e.deliver != nil {
			e.release()
			close(e.deliver)
		}
	})
}

// Emit hands over a batch. It blocks while the queues are full. Batches of one caller keep their
// order.
func (e *Engine) Emit(b source.Batch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	j := newJob(e.rules, b, len(e.shards))
	e.lend(j)
	j.finish = func() { e.end(j) }
	if e.deliver != nil {
		j.finished = make(chan struct{})
		j.finish = func() { close(j.finished) }
	}
	if j.rules.serial {
		j.after, e.last = e.last, j.parsed
	}
	e.order <- j
	e.work <- j
	return nil
}

// end lets others use what a finished job has used.
func (e *Engine) end(j *job) {
	e.reclaim(j)
	j.done()
}

// Swap replaces the rules and profiles for the batches that come after it. Buckets of scenarios
// whose definition did not change live on, the others end.
func (e *Engine) Swap(set *rules.Set, profiles *profile.Profiles) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.use(newRuleset(set, profiles, e.rules))
	e.order <- newReload(e.rules, len(e.shards))
}

// release gives back the memory of the buckets, which nobody will ask for any more.
func (e *Engine) release() {
	for _, s := range e.shards {
		s.table.Close()
	}
}

func (e *Engine) use(r *ruleset) {
	e.rules = r
	e.current.Store(r)
}

// Close takes no more batches and returns when every batch has gone through workers and shards and
// its Done was called. Sources should have returned before.
func (e *Engine) Close() {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.order)
		close(e.work)
	}
	e.mu.Unlock()
	e.running.Wait()
}
