package closure

import (
	"net/http"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"

	"gabion/userspace/event"
)

// variable is a variable of the environment that stands alone.
func (c *compiler) variable(n *ast.IdentifierNode) value {
	switch n.Value {
	case "evt":
		c.needs |= varEvent
		return value{kind: one, one: func(v *Vars) *event.Event { return v.Event }}
	case "queue":
		c.needs |= varQueue
		return value{kind: queued, queue: func(v *Vars) *Queue { return v.Queue }}
	case "signal":
		c.needs |= varSignal
		return dynamicValue(func(v *Vars) any { return v.Signal })
	case "match":
		return value{kind: object, object: func(v *Vars) map[string]any { return v.Match }}
	case "req":
		return dynamicValue(func(v *Vars) any { return v.request() })
	case "Alert":
		c.needs |= varAlert
		return dynamicValue(func(v *Vars) any { return v.Alert })
	}
	c.leave(n, "use of "+n.Value+" as a value")
	return value{}
}

// request returns the request of an alert's context.
func (v *Vars) request() *http.Request {
	if v.Req == nil {
		return &http.Request{}
	}
	return v.Req
}

// ofVariable is a path from a variable; ok is false when it is one that let declares.
func (c *compiler) ofVariable(p path) (x value, ok bool) {
	for _, l := range c.locals {
		if l.name == p.variable.Value {
			return value{}, false
		}
	}
	switch p.variable.Value {
	case "evt":
		c.needs |= varEvent
		return c.ofEvent(p, func(v *Vars) *event.Event { return v.Event }, true), true
	case "queue":
		c.needs |= varQueue
		return c.ofQueue(p, func(v *Vars) *Queue { return v.Queue }), true
	case "leaky":
		c.needs |= varLeaky
		return c.ofLeaky(p), true
	case "req":
		return c.steps(p, func(v *Vars) any { return v.request() }), true
	case "signal":
		c.needs |= varSignal
		return c.steps(p, func(v *Vars) any { return v.Signal }), true
	case "Alert":
		c.needs |= varAlert
		return c.steps(p, func(v *Vars) any { return v.Alert }), true
	}
	return value{}, false
}

// steps is a path by reflection from a pointer that is not nil.
func (c *compiler) steps(p path, from func(*Vars) any) value {
	at := c.at(p.variable)
	step := &runtime.Field{Index: p.index, Path: p.names}
	return basic(func(v *Vars) any {
		v.at = at
		return runtime.FetchField(from(v), step)
	}, p.node.Type())
}

// ofEvent is a path from an event, from the variable evt when direct.
func (c *compiler) ofEvent(p path, from func(*Vars) *event.Event, direct bool) value {
	if len(p.names) == 1 {
		if x, ok := c.fieldOf(p.names[0], from, direct); ok {
			return x
		}
	}
	if len(p.names) == 2 && p.names[0] == "Line" {
		if x, ok := lineField(p.names[1], from); ok {
			return x
		}
	}
	at := c.at(p.base)
	if p.variable != nil {
		at = place(p.variable)
	}
	step := &runtime.Field{Index: p.index, Path: p.names}
	return basic(func(v *Vars) any {
		e := from(v)
		v.at = at
		return runtime.FetchField(e, step)
	}, p.node.Type())
}

// fieldOf is a member of an event that is read in place.
func (c *compiler) fieldOf(name string, from func(*Vars) *event.Event, direct bool) (value, bool) {
	if set, ok := event.FieldSetOf(name); ok {
		x := value{kind: fields, fields: func(v *Vars) *event.Fields { return from(v).In(set) }}
		if direct {
			x.set = &set
		}
		return x, true
	}
	switch name {
	case "Unmarshaled":
		return value{kind: object, object: func(v *Vars) map[string]any { return from(v).Unmarshaled }, stored: from}, true
	case "Stage":
		return textValue(func(v *Vars) string { return from(v).Stage }), true
	case "StrTime":
		return textValue(func(v *Vars) string { return from(v).StrTime }), true
	case "StrTimeFormat":
		return textValue(func(v *Vars) string { return from(v).StrTimeFormat }), true
	case "MarshaledTime":
		return textValue(func(v *Vars) string { return from(v).MarshaledTime }), true
	case "WhitelistReason":
		return textValue(func(v *Vars) string { return from(v).WhitelistReason }), true
	case "Whitelisted":
		return truthValue(func(v *Vars) bool { return from(v).Whitelisted }), true
	case "Process":
		return truthValue(func(v *Vars) bool { return from(v).Process }), true
	case "Type":
		return wholeValue(func(v *Vars) int { return from(v).Type }), true
	case "ExpectMode":
		return wholeValue(func(v *Vars) int { return from(v).ExpectMode }), true
	}
	return value{}, false
}

// lineField is a member of an event's line that is read in place.
func lineField(name string, from func(*Vars) *event.Event) (value, bool) {
	switch name {
	case "Raw":
		return textValue(func(v *Vars) string { return from(v).Line.Raw }), true
	case "Src":
		return textValue(func(v *Vars) string { return from(v).Line.Src }), true
	case "Module":
		return textValue(func(v *Vars) string { return from(v).Line.Module }), true
	case "Labels":
		return dynamicValue(func(v *Vars) any { return from(v).Line.Labels }), true
	}
	return value{}, false
}

func (c *compiler) ofQueue(p path, from func(*Vars) *Queue) value {
	switch p.names[0] {
	case "Queue":
		return value{kind: events, events: func(v *Vars) []*event.Event { return from(v).Queue }}
	case "L":
		return wholeValue(func(v *Vars) int { return from(v).L })
	}
	c.leave(p.node, "member "+p.names[0]+" of a queue")
	return value{}
}

func (c *compiler) ofLeaky(p path) value {
	if p.names[0] == "Queue" {
		c.needs |= varQueue
		from := func(v *Vars) *Queue { return v.Leaky.Queue }
		if len(p.names) == 1 {
			return value{kind: queued, queue: from}
		}
		return c.ofQueue(path{names: p.names[1:], node: p.node}, from)
	}
	switch p.names[0] {
	case "Total_count":
		return wholeValue(func(v *Vars) int { return v.Leaky.Total_count })
	case "Mode":
		return wholeValue(func(v *Vars) int { return v.Leaky.Mode })
	}
	return c.steps(p, func(v *Vars) any { return v.Leaky })
}
