package decision

import (
	"container/heap"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"
)

// Set holds the active bans: by id, by prefix and by the time they end. It has no lock: its owner
// has. A decision must not change while it is in a set.
type Set struct {
	byID     map[uint64]*member
	prefixes PrefixMap[[]*member] // strongest first
	expiry   expiryHeap
}

// member is a decision in a Set, with the prefix parsed once.
type member struct {
	decision *Decision
	rule     Rule
	index    int    // in the expiry heap
	met      uint32 // see Set.Meet
}

// NewSet returns an empty set.
func NewSet() *Set { return &Set{byID: map[uint64]*member{}} }

// Len returns the number of decisions.
func (s *Set) Len() int { return len(s.byID) }

// Prefixes returns the number of prefixes with a decision: the kernel entries that the set asks for.
func (s *Set) Prefixes() int { return s.prefixes.Len() }

// Add puts a decision into the set, in place of one with the same id, and returns the prefix it
// covers. A decision without id, end or address is refused.
func (s *Set) Add(d *Decision) (netip.Prefix, error) {
	rule, err := d.Rule()
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("add decision %d: %w", d.ID, err)
	case d.ID == 0:
		return netip.Prefix{}, fmt.Errorf("add decision on %s: it has no id", d.Value)
	case d.Until.IsZero():
		return netip.Prefix{}, fmt.Errorf("add decision %d on %s: it has no end", d.ID, d.Value)
	}
	s.Remove(d.ID)
	m := &member{decision: d, rule: rule}
	s.byID[d.ID] = m
	heap.Push(&s.expiry, m)
	list, _ := s.prefixes.Get(rule.Prefix)
	at, _ := slices.BinarySearchFunc(list, m, byStrength)
	s.prefixes.Put(rule.Prefix, slices.Insert(list, at, m))
	return rule.Prefix, nil
}

// Remove takes decisions out of the set and returns those that were in it.
func (s *Set) Remove(ids ...uint64) []*Decision {
	var out []*Decision
	for _, id := range ids {
		if m, ok := s.byID[id]; ok {
			heap.Remove(&s.expiry, m.index)
			s.drop(m)
			out = append(out, m.decision)
		}
	}
	return out
}

// Expire takes out at most the given number of decisions that have ended at now, and returns them.
func (s *Set) Expire(now time.Time, most int) []*Decision {
	var out []*Decision
	for len(out) < most && len(s.expiry) > 0 && !s.expiry[0].rule.Until.After(now) {
		m := heap.Pop(&s.expiry).(*member)
		s.drop(m)
		out = append(out, m.decision)
	}
	return out
}

// drop forgets a member that has left the expiry heap.
func (s *Set) drop(m *member) {
	delete(s.byID, m.decision.ID)
	list, _ := s.prefixes.Get(m.rule.Prefix)
	list = slices.DeleteFunc(list, func(o *member) bool { return o == m })
	if len(list) == 0 {
		s.prefixes.Delete(m.rule.Prefix)
		return
	}
	s.prefixes.Put(m.rule.Prefix, list)
}

// Get returns the decision with an id.
func (s *Set) Get(id uint64) (*Decision, bool) {
	if m, ok := s.byID[id]; ok {
		return m.decision, true
	}
	return nil, false
}

// Find returns the decisions that cover addr, the most specific prefix first.
func (s *Set) Find(addr netip.Addr) []*Decision {
	addr = addr.Unmap().WithZone("")
	return s.Covering(netip.PrefixFrom(addr, addr.BitLen()))
}

// Covering returns the decisions that cover all of p, the most specific prefix first.
func (s *Set) Covering(p netip.Prefix) []*Decision {
	var groups [][]*member
	for _, list := range s.prefixes.Covering(p) {
		groups = append(groups, list)
	}
	var out []*Decision
	for _, list := range slices.Backward(groups) {
		out = decisions(out, list)
	}
	return out
}

// Effective returns the kernel entry for p: that of the strongest decision on exactly p. Drop beats
// shadow, then the latest end wins. It is false when no decision is on p. Decisions on wider
// prefixes have entries of their own, which the kernel looks at as well.
func (s *Set) Effective(p netip.Prefix) (Rule, bool) {
	list, ok := s.prefixes.Get(p)
	if !ok {
		return Rule{}, false
	}
	return list[0].rule, true
}

// Meet is Effective, and notes that the entry was met in a round of comparing: RulesAfter yields
// the latest round with each entry, so that what nobody met is found without a list of what was.
func (s *Set) Meet(p netip.Prefix, round uint32) (Rule, bool) {
	list, ok := s.prefixes.Get(p)
	if !ok {
		return Rule{}, false
	}
	list[0].met = round
	return list[0].rule, true
}

// Rules yields the kernel entries that enforce the set, in the order of PrefixMap. The set must
// not change meanwhile.
func (s *Set) Rules() iter.Seq[Rule] {
	return func(yield func(Rule) bool) {
		for rule := range s.RulesAfter(netip.Prefix{}) {
			if !yield(rule) {
				return
			}
		}
	}
}

// RulesAfter yields the entries that follow p, for a caller that walks in pieces and lets the set
// change in between, each with the round in which it was met last, 0 for never. The zero prefix
// starts at the beginning.
func (s *Set) RulesAfter(p netip.Prefix) iter.Seq2[Rule, uint32] {
	return func(yield func(Rule, uint32) bool) {
		for _, list := range s.prefixes.After(p) {
			if !yield(list[0].rule, list[0].met) {
				return
			}
		}
	}
}

// All yields every decision, in the order of their prefixes.
func (s *Set) All() iter.Seq[*Decision] {
	return func(yield func(*Decision) bool) {
		for _, list := range s.prefixes.All() {
			for _, m := range list {
				if !yield(m.decision) {
					return
				}
			}
		}
	}
}

// UntilSlack is how far two ends may lie apart and still be the same. The kernel counts in ticks of
// up to 1.3 s and lets a ban end at most a tick and a second late; the rest is for the conversion to
// wall-clock time and back, which is only as exact as the clock is steady.
const UntilSlack = 3 * time.Second

// Same reports whether the kernel entry have is the one that want asks for. Hits do not matter.
func Same(want, have Rule) bool {
	return want.DecisionID == have.DecisionID && !have.Foreign && alike(want, have)
}

// Nameless reports whether the kernel entry have is what want asks for, but for its id, which this
// process does not know: it was written by an earlier one.
func Nameless(want, have Rule) bool {
	return have.DecisionID == 0 && want.DecisionID != 0 && !have.Foreign && alike(want, have)
}

func alike(want, have Rule) bool {
	apart := want.Until.Sub(have.Until)
	sameEnd := apart.Abs() <= UntilSlack || have.Endless && apart > 0
	return want.Prefix == have.Prefix && want.Class == have.Class && sameEnd
}

// Stronger reports whether a beats b: drop beats shadow, then the later end wins.
func Stronger(a, b Rule) bool {
	if (a.Class == ClassShadow) != (b.Class == ClassShadow) {
		return b.Class == ClassShadow
	}
	return a.Until.After(b.Until)
}

// byStrength orders the stronger first. Of two equals the older stays, so that a repeated ban does
// not rewrite the kernel entry.
func byStrength(a, b *member) int {
	switch {
	case Stronger(a.rule, b.rule):
		return -1
	case Stronger(b.rule, a.rule):
		return 1
	case a.decision.ID < b.decision.ID:
		return -1
	case a.decision.ID > b.decision.ID:
		return 1
	}
	return 0
}

func decisions(out []*Decision, list []*member) []*Decision {
	for _, m := range list {
		out = append(out, m.decision)
	}
	return out
}

// expiryHeap has the decision that ends next on top.
type expiryHeap []*member

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].rule.Until.Before(h[j].rule.Until) }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push appends x; container/heap calls it.
func (h *expiryHeap) Push(x any) {
	m := x.(*member)
	m.index = len(*h)
	*h = append(*h, m)
}

// Pop removes the last element; container/heap calls it.
func (h *expiryHeap) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return m
}
