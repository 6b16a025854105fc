package parse

import (
	"cmp"
	"time"

	"gabion/userspace/expr"
)

const (
	stashSize    = 100     // entries, when the rule gives no size
	maxStashSize = 1 << 20 // entries that a rule may ask for
)

// stash remembers a value of this event for expressions on later ones.
type stash struct {
	name       string
	key, value *expr.Program
	ttl        time.Duration
	size       int
}

func (c *compiler) stash(d *stashDocument) *stash {
	s := &stash{name: d.Name, ttl: d.TTL.Std(), size: cmp.Or(d.Size, stashSize)}
	bad := func(key, format string, args ...any) {
		if !c.partial || d.At.Has(key) {
			c.errs = append(c.errs, d.At.Key(key).Errorf(format, args...))
		}
	}
	if d.Name == "" {
		bad("name", "stash needs a name")
	}
	if d.TTL <= 0 {
		bad("ttl", "stash needs a ttl above 0, such as 30s")
	}
	if d.Size < 0 || d.Size > maxStashSize {
		bad("size", "size of a stash must be from 1 to %d", maxStashSize)
	}
	switch d.Strategy {
	case "", "LRU", "LFU", "ARC":
	default:
		c.deps.Log.Warn("unknown stash strategy, LRU is used", "strategy", d.Strategy, "file", d.At.Key("strategy").String())
	}
	if d.Key.Text == "" {
		bad("key", "stash needs a key expression")
	} else {
		s.key = c.expression(d.Key, expr.Any)
	}
	if d.Value.Text == "" {
		bad("value", "stash needs a value expression")
	} else {
		s.value = c.expression(d.Value, expr.Any)
	}
	if c.deps.Lib == nil {
		bad("name", "stashes are not available here")
	}
	return s
}

// store evaluates value and key and keeps the pair.
func (r *run) store(n *node, s *stash) {
	value, err := s.value.String(r.vars)
	if err != nil {
		r.fault(n, "stash value failed", err)
		return
	}
	key, err := s.key.String(r.vars)
	if err != nil {
		r.fault(n, "stash key failed", err)
		return
	}
	r.p.lib.SetStash(s.name, key, value, s.ttl, s.size)
}
