package parse

import (
	"slices"

	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/yamlpos"
)

// stash remembers a value of this event for expressions on later ones.
type stash struct {
	name       string
	to         *exprlib.Stash
	key, value *expr.Program
}

func (c *compiler) stash(d *StashDocument) *stash {
	s := &stash{name: d.Name, key: c.stashExpression(d, d.Key, "key"), value: c.stashExpression(d, d.Value, "value")}
	switch d.Strategy {
	case "", "LRU", "LFU", "ARC":
	default:
		c.deps.Log.Warn("unknown stash strategy, LRU is used", "strategy", d.Strategy, "file", d.At.Key("strategy").String())
	}
	switch {
	case c.deps.Lib == nil:
		c.errs = append(c.errs, d.At.Pos().Errorf("stashes are not available here"))
	case slices.ContainsFunc([]string{"name", "size", "ttl"}, d.At.Faulty): // decoding said what is wrong
	default:
		var err error
		s.to, err = c.deps.Lib.Stash(exprlib.StashConfig{Name: d.Name, Size: d.Size, TTL: d.TTL.Std()})
		c.errs.Add(d.At.Pos(), err)
	}
	return s
}

func (c *compiler) stashExpression(d *StashDocument, src yamlpos.Text, key string) *expr.Program {
	if src.Text != "" {
		return c.expression(src, expr.String)
	}
	c.missing(d.At, "stash needs an expression as "+key, key)
	return nil
}

// Remembers reports whether a parser keeps values of an event for later ones, so that what comes out
// depends on the order in which events are run.
func (p *Pipeline) Remembers() bool {
	return slices.ContainsFunc(p.Nodes(), Node.remembers)
}

func (n Node) remembers() bool {
	return len(n.n.stashes) > 0 || slices.ContainsFunc(n.Children(), Node.remembers)
}

// store evaluates value and key and keeps the pair.
func (r *run) store(n *node, s *stash) {
	value, err := s.value.String(&r.vars)
	if err != nil {
		r.fault(n, "stash value failed", err)
		return
	}
	key, err := s.key.String(&r.vars)
	if err != nil {
		r.fault(n, "stash key failed", err)
		return
	}
	s.to.Set(key, value)
	if r.trace != nil {
		r.tell(n, StepStash, true, s.name, key+" = "+value, nil)
	}
}
