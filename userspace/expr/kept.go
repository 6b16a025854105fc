package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"gabion/userspace/event"
	"gabion/userspace/expr/closure"
	"gabion/userspace/yamlpos"
)

// QueueCondition is a condition over the whole queue of a bucket, taken apart so that it costs the
// same however long the queue is: the bucket keeps a few numbers and events of the queue (Slots), and
// Rest reads them instead of the queue. It gives what the condition as written gives over the
// whole queue.
type QueueCondition struct {
	Rest  *Program // with Vars.Queue.Kept
	Slots []Slot
	Least []Least // all must hold, else Rest is false and need not be run
}

// Slot is what a bucket keeps of the events in its queue that one predicate accepts: how many there
// are, the first few and the last few.
type Slot struct {
	Accepts    *Program // over evt, can neither fail nor write; nil accepts every event
	Head, Tail int      // events to keep
}

// Least says that a slot must have counted a number of events.
type Least struct{ Slot, Count int }

// Kept gives Rest what a bucket kept. Events have Time, Meta and the Enriched fields that
// the compiler was told of.
type Kept = closure.Kept

// Bounds of what a condition may ask a bucket to keep.
const (
	maxSlots = 16
	maxKept  = 64 // events at either end
)

// CompileQueue takes apart a condition over an unbounded queue. It returns nil when the condition
// asks for more than counts and the ends of the queue or of a part of it; enriched are the names
// that kept events have. The condition itself must have been compiled before.
func (c *Compiler) CompileQueue(src yamlpos.Text, enriched []string) *QueueCondition {
	tree, err := parser.Parse(src.Text)
	if err != nil || strings.Contains(src.Text, "SetMeta") || strings.Contains(src.Text, "SetParsed") {
		return nil
	}
	k := keeper{enriched: enriched, lists: map[string]*events{}}
	k.rewrite(&tree.Node)
	rest := tree.Node.String()
	if again, err := parser.Parse(rest); k.failed || err != nil || ast.Dump(again.Node) != ast.Dump(tree.Node) {
		return nil
	}
	q := &QueueCondition{Least: leastOf(tree.Node)}
	for _, s := range k.slots {
		slot := Slot{Head: s.head, Tail: s.tail}
		if s.predicate != "" {
			if slot.Accepts, err = c.Compile(yamlpos.Text{Text: s.predicate, Pos: src.Pos}, EnvEvent, Bool); err != nil {
				return nil
			}
		}
		q.Slots = append(q.Slots, slot)
	}
	if q.Rest, err = c.with(keptFunctions()...).Compile(yamlpos.Text{Text: rest, Pos: src.Pos}, EnvQueue, Bool); err != nil {
		return nil
	}
	return q
}

// with returns a compiler that knows more helpers.
func (c *Compiler) with(more ...Function) *Compiler {
	extended := *c
	added := NewCompiler(more...)
	extended.functions = append(slices.Clone(c.functions), added.functions...)
	extended.helpers = maps.Clone(c.helpers)
	maps.Copy(extended.helpers, added.helpers)
	return &extended
}

// Names of the helpers that Rest calls. Rules cannot: they are not known elsewhere.
const (
	keptCount = "kept_count"
	keptHead  = "kept_head"
	keptTail  = "kept_tail"
	keptTimes = "kept_times"
)

func keptFunctions() []Function {
	kept := func(args []any) (Kept, int) { return args[0].(*queueView).kept, args[1].(int) }
	return []Function{
		{Name: keptCount, Types: []any{new(func(*queueView, int) int)}, Call: func(args ...any) (any, error) {
			k, slot := kept(args)
			return k.Count(slot), nil
		}, onQueue: func(q *Queue, slot int) int { return q.Kept.Count(slot) }},
		{Name: keptHead, Types: []any{new(func(*queueView, int) []*view)}, Call: func(args ...any) (any, error) {
			k, slot := kept(args)
			return views(k.Head(slot)), nil
		}, onQueue: func(q *Queue, slot int) []*event.Event { return q.Kept.Head(slot) }},
		{Name: keptTail, Types: []any{new(func(*queueView, int) []*view)}, Call: func(args ...any) (any, error) {
			k, slot := kept(args)
			return views(k.Tail(slot)), nil
		}, onQueue: func(q *Queue, slot int) []*event.Event { return q.Kept.Tail(slot) }},
		{Name: keptTimes, Types: []any{new(func(*queueView, int, int) []time.Time)}, Call: func(args ...any) (any, error) {
			k, slot := kept(args)
			return k.Times(slot, args[2].(int)), nil
		}, onQueue: func(q *Queue, slot, n int) []time.Time { return q.Kept.Times(slot, n) }},
	}
}

// leastOf finds what the first operands of the outermost && ask of counts.
func leastOf(root ast.Node) (out []Least) {
	for _, n := range conjuncts(root, nil) {
		b, ok := n.(*ast.BinaryNode)
		if !ok {
			break
		}
		call, isCall := b.Left.(*ast.CallNode)
		count, isNumber := b.Right.(*ast.IntegerNode)
		if !isCall || !isNumber || call.Callee.String() != keptCount {
			break
		}
		least := Least{call.Arguments[1].(*ast.IntegerNode).Value, count.Value}
		switch b.Operator {
		case ">":
			least.Count++
		case ">=", "==":
		default:
			return out
		}
		out = append(out, least)
	}
	return out
}

// draft is a slot as the keeper finds it.
type draft struct {
	predicate  string // "" for every event
	head, tail int
}

// slot returns the number of the slot for a list.
func (k *keeper) slot(l *events) int {
	text := l.String()
	i := slices.IndexFunc(k.slots, func(d draft) bool { return d.predicate == text })
	if i < 0 {
		i = len(k.slots)
		k.slots = append(k.slots, draft{predicate: text})
		k.failed = k.failed || len(k.slots) > maxSlots
	}
	return i
}

// events is queue.Queue, or what is left of it when some predicates have filtered it.
type events struct{ predicates []ast.Node }

// String returns the predicate of the list's events, over evt.
func (l *events) String() string {
	var parts []string
	for _, p := range l.predicates {
		parts = append(parts, fmt.Sprintf("(%s)", p.String()))
	}
	return strings.Join(parts, " && ")
}

func (l *events) filtered(p ast.Node) *events { return &events{append(slices.Clip(l.predicates), p)} }
