package parse

import (
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

// node is a compiled node. It is immutable but for its counters.
type node struct {
	name      string
	stage     string
	place     int // among all nodes of the pipeline
	depth     int // nodes it lies in
	pos       yamlpos.Position
	filter    *expr.Program
	requires  []expr.Condition // must hold for filter to be true
	checks    expr.Checks      // the same
	writes    bool             // filter may set fields
	grok      *grokStep
	stashes   []*stash
	children  []*node
	statics   []*static
	whitelist *whitelist
	nextStage bool
	counters  counters
}

// process runs a node on the event and says whether it succeeded. An error ends the event.
//
// The order is part of the rules' language: children run even when the node's own grok failed, and
// what failed nodes have already written stays.
func (r *run) process(n *node) (bool, error) {
	passed := r.passes(n)
	r.touched = r.touched || passed || n.writes
	r.tell(n, StepFilter, passed, "", "", nil)
	if !passed {
		r.tell(n, StepDone, false, "", "", nil)
		return false, nil
	}
	ok, err := r.body(n)
	r.count(n, ok && err == nil)
	r.tell(n, StepDone, ok && err == nil, "", "", err)
	return ok, err
}

func (r *run) body(n *node) (bool, error) {
	whitelisted := r.checkWhitelist(n)
	ok, matched := true, false
	if n.grok != nil {
		var err error
		if matched, err = r.applyGrok(n); err != nil {
			return false, err
		}
		ok = matched
	}
	if matched || n.grok == nil {
		for _, s := range n.stashes {
			r.store(n, s)
		}
	}
	for _, child := range n.children {
		childOK, err := r.process(child)
		switch {
		case err != nil:
			return false, err
		case childOK:
			ok = true
		case !matched:
			ok = false
		}
		if childOK && n.nextStage {
			break
		}
	}
	if !ok {
		return false, nil
	}
	if whitelisted || !n.whitelist.hasEntries() {
		for _, s := range n.statics {
			if err := r.apply(n, s); err != nil {
				return false, err
			}
		}
	}
	if n.nextStage {
		r.promote()
	}
	return true, nil
}

// passes evaluates the node's filter. The conditions that the filter implies are looked at first:
// they cost a map lookup.
func (r *run) passes(n *node) bool {
	if n.filter == nil {
		return true
	}
	if !n.checks.Hold(r.evt) {
		return false
	}
	if n.filter.Complete() {
		return true
	}
	ok, err := n.filter.Bool(&r.vars)
	if err != nil {
		r.fault(n, "filter failed", err)
		return false
	}
	return ok
}
