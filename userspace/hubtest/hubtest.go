// Package hubtest runs the tests of a hub: folders with a log, the rules to run it through and
// assertions about what came out.
//
// A test is run by the daemon's own engine, one line after the other, in the time of the log. So it
// is deterministic: a test that passes once passes always.
package hubtest

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gabion/userspace/grok"
	"gabion/userspace/hub"
)

// Dir is the folder of a hub in which its tests lie, a folder each.
const Dir = ".tests"

// Options says which tests to run, and how.
type Options struct {
	Hub     *hub.Hub
	Root    string   // directory of the hub
	Tests   []string // names; none means all
	Data    []string // directories with the data files of rules, the first that has a file counts
	OwnData []string // searched before Data by tests with data of their own

	// Compatible counts failures as the hub's own tool does, which overlooks some: see Verdict.
	Compatible bool

	// Update writes the assertions of every test that can be run anew, from what came out.
	Update bool

	Now      time.Time            // for dates without a year, where assertions name none
	Workers  int                  // tests run at the same time; 0 means 1
	Progress func(Result)         // told of every test once it is done, by one goroutine at a time; may be nil
	Dump     func(string, *State) // given everything that a test recorded, likewise; may be nil
	Log      *slog.Logger         // what rules warn of while they run; nil: silent
}

// Outcome says how a test went.
type Outcome string

// Outcomes.
const (
	Passed      Outcome = "passed"
	Failed      Outcome = "failed"
	MissingData Outcome = "missing_data" // not run: its rules need files that are not there
)

// Result is how one test went.
type Result struct {
	Test       string    `json:"test"`
	Outcome    Outcome   `json:"outcome"`
	Reason     string    `json:"reason,omitempty"` // why it did not pass
	Assertions int       `json:"assertions"`       // evaluated
	Failures   []Failure `json:"failures,omitempty"`

	reached reached
}

// Report sums up a run.
type Report struct {
	Tests       int      `json:"tests"`
	Passed      int      `json:"passed"`
	Failed      int      `json:"failed"`
	MissingData int      `json:"missing_data"`
	Assertions  int      `json:"assertions"`
	Seconds     float64  `json:"seconds"`
	NotPassed   []Result `json:"not_passed"` // in the order of the tests

	reached reached
}

// Run runs tests. The error is about the run as a whole, such as a name that is no test: what is
// wrong with a test is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	names, err := o.names()
	if err != nil {
		return nil, err
	}
	r := runner{options: o, names: names, results: make([]Result, len(names)), patterns: grok.NewSet()}
	var workers sync.WaitGroup
	for range max(o.Workers, 1) {
		workers.Go(func() { r.run(ctx) })
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("run tests: %w", err)
	}
	return r.report(), nil
}

// names returns the tests to run. All means every folder that has a configuration.
func (o *Options) names() ([]string, error) {
	dir := filepath.Join(o.Root, Dir)
	if len(o.Tests) > 0 {
		for _, name := range o.Tests {
			if !filepath.IsLocal(name) {
				return nil, fmt.Errorf("%q is no name of a test", name)
			}
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("there is no test %q in %s", name, dir)
			}
		}
		return o.Tests, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read tests: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := fs.Stat(os.DirFS(dir), e.Name()+"/"+configFile); err == nil {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there are no tests in %s", dir)
	}
	return names, nil
}

// runner spreads tests over workers.
type runner struct {
	options Options
	names   []string
	next    atomic.Int64
	results []Result
	tell    sync.Mutex // held while Progress or Dump runs

	// patterns is copied by every test. The copies build together what their patterns have in common.
	patterns *grok.Set
}

// run takes one test after the other until there are no more or ctx is done. It owns the results
// of the tests that it takes.
func (r *runner) run(ctx context.Context) {
	for ctx.Err() == nil {
		i := int(r.next.Add(1)) - 1
		if i >= len(r.names) {
			return
		}
		t := test{options: &r.options, name: r.names[i], dir: filepath.Join(r.options.Root, Dir, r.names[i]), patterns: r.patterns}
		r.results[i] = t.run()
		r.tell.Lock()
		if r.options.Progress != nil {
			r.options.Progress(r.results[i])
		}
		if r.options.Dump != nil && t.state != nil {
			r.options.Dump(t.name, t.state)
		}
		r.tell.Unlock()
	}
}

func (r *runner) report() *Report {
	out := &Report{Tests: len(r.results), NotPassed: []Result{}, reached: reached{}}
	for _, result := range r.results {
		switch result.Outcome {
		case Passed:
			out.Passed++
		case Failed:
			out.Failed++
		case MissingData:
			out.MissingData++
		}
		if result.Outcome != Passed {
			out.NotPassed = append(out.NotPassed, result)
		}
		out.Assertions += result.Assertions
		out.reached.add(result.reached)
	}
	return out
}
