package bucket

import "gabion/userspace/expr"

// Trace is told what became of every event that a table was given, on the goroutine of the table.
type Trace func(Poured)

// Poured says what became of one event.
type Poured struct {
	Scenario *Scenario
	Match    *Match // nil when no event but the end of its time ended the bucket
	Outcome  Outcome
	Events   int     // that the bucket counted, this one included; 0 when it is gone
	Level    float64 // how full a leaky bucket is: it overflows above its capacity
	Opened   bool    // the event is the first of its bucket
}

// Outcome is what an event did.
type Outcome int

// Outcomes. All but the first three are of an overflow.
const (
	Counted   Outcome = iota
	Repeated          // distinct has seen its value before: it was left out
	Cancelled         // cancel_on ended the bucket
	Overflowed
	Muted    // during a blackhole
	Filtered // overflow_filter refused it
	Lost     // the events name no valid source
)

// String returns the outcome as a word.
func (o Outcome) String() string {
	return [...]string{"counted", "repeated", "cancelled", "overflowed", "muted", "filtered", "lost"}[o]
}

// tell tells the trace, if there is one, what became of an event. The tally is zero when there is no
// bucket.
func (t *Table) tell(s *Scenario, m *Match, outcome Outcome, b tally) {
	if t.config.Trace != nil {
		t.config.Trace(poured(s, m, outcome, b))
	}
}

func poured(s *Scenario, m *Match, outcome Outcome, b tally) Poured {
	p := Poured{Scenario: s, Match: m, Outcome: outcome}
	if b.total == 0 {
		return p
	}
	p.Events, p.Opened = int(b.total), b.total == 1 && outcome != Repeated && outcome != Cancelled
	if s.kind == kindLeaky {
		p.Level = float64(s.capacity) - b.tokens
		if outcome >= Overflowed {
			p.Level++ // what came too much takes no token
		}
	}
	return p
}

// Capacity returns how many events a leaky scenario's bucket holds.
func (s *Scenario) Capacity() int { return s.capacity }

// Expressions returns all expressions of the scenario, the filter first.
func (s *Scenario) Expressions() []expr.Keyed {
	var out []expr.Keyed
	add := func(key string, p *expr.Program) {
		if p != nil {
			out = append(out, expr.Keyed{Key: key, Program: p})
		}
	}
	add("filter", s.filter)
	add("groupby", s.groupby)
	add("distinct", s.distinct)
	add("cancel_on", s.cancelOn)
	add("condition", s.condition)
	add("overflow_filter", s.overflowFilter)
	add("scope", s.scopeExpr)
	if s.belief != nil {
		for _, c := range s.belief.clues {
			add("bayesian_conditions", c.condition)
		}
	}
	return out
}

// Filter returns the scenario's filter.
func (s *Scenario) Filter() *expr.Program { return s.filter }
