package hubtest

import (
	"fmt"
	"log/slog"
	"time"

	"gabion/userspace/enrich"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/hub"
	"gabion/userspace/rules"
)

// rule names a rule that a test can reach.
type rule struct {
	kind rules.Kind
	name string
}

// reached is the rules that did something in a test: nodes that succeeded, scenarios that
// overflowed.
type reached map[rule]bool

func reachedBy(s *State) reached {
	out := reached{}
	for _, nodes := range s.Parsers {
		for name, results := range nodes {
			for _, r := range results {
				if r.Success {
					out[rule{rules.Parser, name}] = true
					break
				}
			}
		}
	}
	for _, r := range s.Scenarios {
		out[rule{rules.Scenario, r.Overflow.Alert.Scenario}] = true
	}
	return out
}

func (r reached) add(more reached) {
	for k := range more {
		r[k] = true
	}
}

// Coverage says which rules of a kind the tests of a run reached.
type Coverage struct {
	Kind    rules.Kind   `json:"kind"`
	Rules   int          `json:"rules"`
	Reached int          `json:"reached"`
	Missed  []rules.Item `json:"-"` // in their order
}

// Coverage compares what the tests of the run reached with the rules that there are. A parser or
// post-overflow rule is reached when it succeeded on an event, a scenario when it overflowed.
func (r *Report) Coverage(items []rules.Item) []Coverage {
	out := []Coverage{{Kind: rules.Parser}, {Kind: rules.PostOverflow}, {Kind: rules.Scenario}}
	for _, item := range items {
		for i := range out {
			c := &out[i]
			if c.Kind != item.Kind {
				continue
			}
			kind := item.Kind
			if kind == rules.PostOverflow {
				kind = rules.Parser // they are recorded in one map
			}
			c.Rules++
			if r.reached[rule{kind, item.Name}] {
				c.Reached++
			} else {
				c.Missed = append(c.Missed, item)
			}
		}
	}
	return out
}

// Rules compiles every parser, post-overflow rule and scenario of a hub and returns what they are.
func Rules(h *hub.Hub) ([]rules.Item, error) {
	log, clock := slog.New(slog.DiscardHandler), func() time.Time { return time.Time{} }
	lib := exprlib.New(exprlib.Deps{Log: log, Now: clock})
	set, err := rules.Load([]rules.Source{h.Source(h.Items(hub.Parser, hub.PostOverflow, hub.Scenario))}, rules.Deps{
		Expr: expr.NewCompiler(lib.Functions()...), Lib: lib, Patterns: grok.NewSet(), Log: log, Now: clock,
		Methods: enrich.Methods(enrich.Deps{Now: clock}),
	})
	if err != nil {
		return nil, fmt.Errorf("compile rules: %w", err)
	}
	return set.Items, nil
}
