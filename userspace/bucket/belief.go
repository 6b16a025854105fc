package bucket

import (
	"errors"
	"fmt"
	"strconv"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

// belief makes a bucket overflow when its conditions make it likely enough that somebody attacks: how
// likely follows from the prior by Bayes' rule.
type belief struct {
	prior, threshold float32
	clues            []clue
}

// clue is one condition, and how often it holds when somebody attacks and when nobody does.
type clue struct {
	condition    *expr.Program
	evil, benign float32
	lasts        bool // once it held in a bucket it holds until the bucket's end
}

// ClueDocument is a condition as a file writes it: the complete list of keys.
type ClueDocument struct {
	At         yamlpos.Mapping `yaml:",mapping"`
	Condition  yamlpos.Text    `yaml:"condition"`
	Evil       float32         `yaml:"prob_given_evil"`
	Benign     float32         `yaml:"prob_given_benign"`
	Guillotine bool            `yaml:"guillotine"`
}

// maxClues bounds the conditions of a scenario: all are asked after each event.
const maxClues = 64

// checkBelief returns what is wrong with the bayesian keys.
func (d *Document) checkBelief() (errs yamlpos.Errors) {
	bad := faultsOf(d.At, &errs)
	if !d.believes() {
		for _, key := range []string{"bayesian_prior", "bayesian_conditions"} {
			if d.At.Has(key) {
				bad(key, "%s says nothing without a bayesian_threshold", key)
			}
		}
		return errs
	}
	if d.Prior <= 0 || d.Prior > 1 {
		bad("bayesian_prior", "bayesian_prior must be above 0 and at most 1: how likely an attack is before anything is known")
	}
	if d.Threshold <= 0 || d.Threshold > 1 {
		bad("bayesian_threshold", "bayesian_threshold must be above 0 and at most 1: how likely an attack must be")
	}
	if n := len(d.Clues); n == 0 || n > maxClues {
		bad("bayesian_conditions", "a bayesian scenario needs 1 to %d bayesian_conditions", maxClues)
	}
	for i := range d.Clues {
		c := &d.Clues[i]
		bad := faultsOf(c.At, &errs)
		if c.Condition.Text == "" {
			bad("condition", "a bayesian condition needs an expression as condition")
		}
		for key, p := range map[string]float32{"prob_given_evil": c.Evil, "prob_given_benign": c.Benign} {
			if p < 0 || p > 1 || !c.At.Has(key) {
				bad(key, "a bayesian condition needs a %s from 0 to 1", key)
			}
		}
	}
	errs.Sort()
	return errs
}

// believes reports whether the scenario has something bayesian, whatever its type is.
func (d *Document) believes() bool {
	return d.Type.Text == kindBayesian || d.At.Has("bayesian_threshold")
}

func (s *Scenario) compileBelief(d *Document, c *expr.Compiler) (errs yamlpos.Errors) {
	if !d.believes() {
		return nil
	}
	s.belief = &belief{prior: d.Prior, threshold: d.Threshold}
	for _, clueDoc := range d.Clues {
		if clueDoc.Condition.Text == "" {
			continue
		}
		p, err := c.Compile(clueDoc.Condition, expr.EnvQueue, expr.Bool)
		errs.Add(clueDoc.Condition.Pos, err)
		s.belief.clues = append(s.belief.clues, clue{p, clueDoc.Evil, clueDoc.Benign, clueDoc.Guillotine})
		s.readsQueue(clueDoc.Condition.Text)
	}
	return errs
}

// convinced asks the conditions after an event was poured, and reports whether an attack is likely
// enough. A failing condition says nothing.
func (s *Scenario) convinced(t *Table, r *row, m *Match) (bool, error) {
	var errs []error
	var events []*event.Event
	if s.whole {
		events = wholes(t.events(r))
	}
	queue, leaky := s.view(r.tally(m.replay()), events, s.nameOf(m))
	vars := &expr.Vars{Event: m.Event, Queue: queue, Leaky: leaky}
	p := s.belief.prior
	for i := range s.belief.clues {
		c := &s.belief.clues[i]
		holds, err := s.clueHolds(t, r, i, vars)
		if err != nil {
			errs = append(errs, fmt.Errorf("bayesian condition: %w", err))
			continue
		}
		evil, benign := c.evil, c.benign
		if !holds {
			evil, benign = 1-evil, 1-benign
		}
		p = evil * p / (evil*p + benign*(1-p))
	}
	return p > s.belief.threshold, errors.Join(errs...)
}

// clueHolds evaluates a condition. That one which lasts held before is kept beside the values of
// distinct, which hashes of texts that no event has cannot meet.
func (s *Scenario) clueHolds(t *Table, r *row, i int, vars *expr.Vars) (bool, error) {
	c := &s.belief.clues[i]
	if !c.lasts {
		return c.condition.Bool(vars)
	}
	mark := t.config.Hasher.text("\x00lasts\x00" + strconv.Itoa(i))
	if r.seen.has(t.blocks, mark) {
		return true, nil
	}
	holds, err := c.condition.Bool(vars)
	if holds {
		t.charge(r.seen.remember(t.blocks, mark))
	}
	return holds, err
}
