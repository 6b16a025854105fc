// Package bucket counts events per scenario and key and says when a scenario's limit is exceeded.
//
// A Scenario is a compiled rule: Match says whether an event counts and under which key. A Table
// holds the live buckets; it belongs to one goroutine, so it takes no locks, and a bucket is a
// small struct without goroutine or timer. Buckets leak in event time, so a replayed log gives the
// same alerts as a live one.
//
// Everything that an event's expressions say is computed by Match, which many workers can run at
// once; the table only counts.
package bucket

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gabion/userspace/alertcontext"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/yamlpos"
)

// Bucket types.
const (
	kindLeaky       = "leaky"       // overflows when events come faster than they leak
	kindTrigger     = "trigger"     // overflows with every event
	kindConditional = "conditional" // overflows when an expression over its events says so
	kindCounter     = "counter"     // overflows when its time is over
	kindBayesian    = "bayesian"    // overflows when conditions make an attack likely
)

// Deps are what compiling a scenario needs.
type Deps struct {
	Expr      *expr.Compiler
	Lib       *exprlib.Lib               // nil: data files are not loaded
	Simulated func(scenario string) bool // its decisions are counted but not enforced; nil means none
	Context   *alertcontext.Context      // of its alerts; nil: none
	Log       *slog.Logger
}

// Scenario is a compiled scenario. It is immutable and safe for concurrent use.
type Scenario struct {
	Name        string
	Description string
	Pos         yamlpos.Position // where the document begins
	Labels      map[string]any
	Remediation bool // its alerts ask for a decision
	Reprocess   bool // its overflows are fed back to the scenarios
	Simulated   bool
	Hash        string // of the hub file it came from, "" for others
	Version     string

	context    *alertcontext.Context
	kind       string
	number     uint64
	capacity   int
	keep       int // the queue holds keep+1 events
	leak       time.Duration
	lifetime   time.Duration
	timed      bool // buckets live so long after their first event and overflow then
	blackhole  time.Duration
	scope      string
	filterText string
	whole      bool                 // retained events are kept whole
	keyed      bool                 // the condition reads the bucket's name
	keeps      *expr.QueueCondition // what the condition needs of the queue; nil: the queue itself
	writes     bool                 // an expression writes to the event
	belief     *belief              // nil when nothing about the scenario is bayesian

	filter, groupby, distinct, cancelOn, condition, overflowFilter, scopeExpr *expr.Program
}

// Compile compiles a scenario document. The error is yamlpos.Errors with everything that is wrong.
func Compile(doc *yamlpos.Document, deps Deps) (*Scenario, error) {
	var d Document
	var errs yamlpos.Errors
	errs.Add(doc.Pos(), doc.Decode(&d))
	errs = append(errs, d.check()...)
	s := &Scenario{
		Name: d.Name.Text, Description: d.Description.Text, Pos: doc.Pos(), Labels: d.Labels, Reprocess: d.Reprocess,
		kind: d.Type.Text, capacity: d.Capacity, leak: d.Leakspeed.Std(), blackhole: d.Blackhole.Std(),
		scope: d.Scope.Type.Text, filterText: d.Filter.Text, context: deps.Context,
	}
	s.Remediation, _ = d.Labels["remediation"].(bool)
	if deps.Simulated != nil {
		s.Simulated = deps.Simulated(s.Name)
	}
	s.size(d.CacheSize, d.Duration.Std())
	errs = append(errs, s.compile(&d, deps.Expr)...)
	s.number = d.number()
	if len(errs) > 0 {
		return nil, errs.Err()
	}
	if deps.Lib != nil {
		deps.Lib.LoadDeclared(d.Data)
	}
	return s, nil
}

// size sets what follows from capacity, leakspeed, cache_size and duration: how many events a bucket
// keeps and how long it lives after its last event, or with a duration after its first.
func (s *Scenario) size(cache int, duration time.Duration) {
	s.keep = s.capacity
	if s.capacity == -1 {
		s.keep = maxLooked - 1
	}
	if cache > 0 && cache <= s.keep {
		s.keep = cache
	}
	switch s.kind {
	case kindLeaky:
		s.lifetime = lifetime(s.capacity, s.leak)
	case kindTrigger:
		s.leak = 0
	case kindConditional:
		s.keep = min(s.keep, maxLooked-1)
		s.lifetime = s.leak
	case kindBayesian:
		s.lifetime = s.leak
	}
	if s.timed = duration > 0 && s.kind != kindTrigger; s.timed {
		s.lifetime = duration
	}
}

// compile compiles the expressions.
func (s *Scenario) compile(d *Document, c *expr.Compiler) (errs yamlpos.Errors) {
	for _, e := range []struct {
		to   **expr.Program
		text yamlpos.Text
		env  expr.Env
		want expr.Kind
	}{
		{&s.filter, d.Filter, expr.EnvEvent, expr.Bool},
		{&s.groupby, d.GroupBy, expr.EnvEvent, expr.String},
		{&s.distinct, d.Distinct, expr.EnvEvent, expr.String},
		{&s.cancelOn, d.CancelOn, expr.EnvEvent, expr.Bool},
		{&s.condition, d.Condition, expr.EnvQueue, expr.Bool},
		{&s.overflowFilter, d.Overflow, expr.EnvOverflow, expr.Bool},
		{&s.scopeExpr, d.Scope.Expression, expr.EnvEvent, expr.String},
	} {
		if e.text.Text == "" {
			continue
		}
		p, err := c.Compile(e.text, e.env, e.want)
		errs.Add(e.text.Pos, err)
		*e.to = p
		s.writes = s.writes || strings.Contains(e.text.Text, "SetMeta") || strings.Contains(e.text.Text, "SetParsed")
	}
	if s.condition != nil {
		s.keyed = strings.Contains(d.Condition.Text, "leaky")
		if s.kind == kindConditional && d.Capacity == -1 && d.CacheSize == 0 {
			s.keeps = c.CompileQueue(d.Condition, sourceFields[:])
		}
	}
	s.whole = s.condition != nil && s.keeps == nil || s.overflowFilter != nil && strings.Contains(strings.ToLower(d.Overflow.Text), "queue")
	return append(errs, s.compileBelief(d, c)...)
}

// readsQueue notes that an expression which is asked after each event may read the queue.
func (s *Scenario) readsQueue(text string) {
	s.whole = s.whole || strings.Contains(strings.ToLower(text), "queue")
	s.keyed = s.keyed || strings.Contains(text, "leaky")
}

// lifetime is how long a bucket lives after its last event: until it has surely leaked empty.
func lifetime(capacity int, leak time.Duration) time.Duration {
	d := time.Duration(capacity+1) * leak
	if leak > 0 && d/leak != time.Duration(capacity+1) {
		return 1<<63 - 1
	}
	return d
}

// number identifies a definition: two scenarios have the same number when they are called the same
// and count the same way, so that a reload can keep their buckets.
func (d *Document) number() uint64 {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q %q %q %q %q %q %d %d %d %d %g %g", d.Name.Text, d.Type.Text, d.Filter.Text, d.GroupBy.Text,
		d.Distinct.Text, d.CancelOn.Text, d.Condition.Text, d.Overflow.Text, d.Scope.Type.Text, d.Scope.Expression.Text,
		d.Capacity, d.Leakspeed, d.CacheSize, d.Duration, d.Prior, d.Threshold)
	for _, c := range d.Clues {
		fmt.Fprintf(h, " %q %g %g %t", c.Condition.Text, c.Evil, c.Benign, c.Guillotine)
	}
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// Incremental reports whether the cost of an event is the same however many the scenario's buckets
// hold. Only conditions over the queue that look at every event of it anew are not.
func (s *Scenario) Incremental() bool {
	return (s.condition == nil || s.keeps != nil) && (s.belief == nil || !s.whole)
}

// Number identifies the scenario's definition; it does not change with a reload that leaves the
// definition as it is.
func (s *Scenario) Number() uint64 { return s.number }

// Type returns the type of the scenario's buckets, such as "leaky".
func (s *Scenario) Type() string { return s.kind }

// Requires returns what must hold of an event for the scenario to want it: an event that lacks one
// of the conditions need not be offered.
func (s *Scenario) Requires() []expr.Condition { return s.filter.Requires() }
