package enforce

import (
	"iter"
	"net/netip"
	"slices"
	"sort"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/lists"
)

// List is an imported list. All of it ends at once.
type List struct {
	Class    decision.Class // ClassFirstList or above; its own
	Name     string
	Origin   string // where it came from
	Entries  *lists.Entries
	Imported time.Time
	Until    time.Time
}

// ListReport says what became of a list.
type ListReport struct {
	Entries   int
	Enforced  int    // as far as the kernel took them; Reconcile tries again
	Held      int    // there is no room for these: the last entries of the list
	Protected int    // these must not be banned and are left out
	Reason    string // why, of the first of them
}

// ListStats says how a list is enforced.
type ListStats struct {
	ListReport
	Class    decision.Class
	Name     string
	Origin   string
	Mode     decision.Mode
	Imported time.Time
	Until    time.Time
	Hits     uint64 // packets that met its entries, as the last Reconcile saw them
}

// list is a List as it is enforced: its first entries, as many as there is room for. The nil pointer
// is no list.
type list struct {
	List
	cut     int   // entries below this number are enforced, unless
	leftOut []int // they are one of these, ascending: protected when it was last looked
	reason  string
	met     []uint64 // bits: entries that Reconcile has met in the kernel
	hits    uint64
}

// claims reports whether the list wants an entry for p.
func (l *list) claims(p netip.Prefix) bool {
	i, ok := l.index(p)
	return ok && i < l.cut && !l.leaves(i)
}

func (l *list) index(p netip.Prefix) (int, bool) {
	if l == nil {
		return 0, false
	}
	return l.Entries.Index(p)
}

// rule is the kernel entry that the list wants for p.
func (l *list) rule(p netip.Prefix) decision.Rule {
	return decision.Rule{Prefix: p, Class: l.Class, Until: l.Until}
}

func (l *list) leaves(i int) bool {
	if len(l.leftOut) == 0 {
		return false
	}
	_, ok := slices.BinarySearch(l.leftOut, i)
	return ok
}

// enforced returns how many entries are.
func (l *list) enforced() int {
	if l == nil {
		return 0
	}
	return l.cut - sort.SearchInts(l.leftOut, l.cut)
}

// limit moves the cut so that n entries are enforced, all when there are fewer.
func (l *list) limit(n int) {
	l.cut = min(max(n, 0), l.Entries.Len())
	for l.cut < l.Entries.Len() && l.enforced() < n {
		l.cut = min(l.cut+n-l.enforced(), l.Entries.Len())
	}
}

func (l *list) report() ListReport {
	if l == nil {
		return ListReport{}
	}
	r := ListReport{Entries: l.Entries.Len(), Enforced: l.enforced(), Protected: len(l.leftOut), Reason: l.reason}
	r.Held = r.Entries - r.Enforced - r.Protected
	return r
}

func (e *Enforcer) listStats() []ListStats {
	var out []ListStats
	for class, l := range e.lists {
		if l != nil {
			out = append(out, ListStats{
				ListReport: l.report(), Class: l.Class, Name: l.Name, Origin: l.Origin, Mode: e.modes[class],
				Imported: l.Imported, Until: l.Until, Hits: l.hits,
			})
		}
	}
	return out
}

// Held yields the entries of a list that are not enforced because there is no room for them.
func (e *Enforcer) Held(class decision.Class) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		e.mu.Lock()
		l := e.lists[class%decision.Classes]
		var from int
		var out []int
		if l != nil {
			from, out = l.cut, l.leftOut
		}
		e.mu.Unlock()
		for i := from; l != nil && i < l.Entries.Len(); i++ {
			if _, left := slices.BinarySearch(out, i); !left && !yield(l.Entries.At(i)) {
				return
			}
		}
	}
}

// Find returns what is in force on addr, the most specific first: decisions, and for each list that
// has it, a decision without an id.
func (e *Enforcer) Find(addr netip.Addr) []*decision.Decision {
	addr = addr.Unmap().WithZone("")
	return e.Covering(netip.PrefixFrom(addr, addr.BitLen()))
}

// Covering is Find for all of a prefix.
func (e *Enforcer) Covering(p netip.Prefix) []*decision.Decision {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.set.Covering(p)
	for class, l := range e.lists {
		if l == nil || e.modes[class] == decision.ModeOff {
			continue
		}
		for bits := p.Bits(); bits > 0; bits-- {
			if wide, err := p.Addr().Prefix(bits); err == nil && l.claims(wide) {
				out = append(out, l.decision(wide, e.modes[class]))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *decision.Decision) int { return bitsOf(b) - bitsOf(a) })
	return out
}

func bitsOf(d *decision.Decision) int {
	p, _ := d.Prefix() // of a decision in force it is good
	return p.Bits()
}

// decision returns an entry of the list in the shape of a decision.
func (l *list) decision(p netip.Prefix, mode decision.Mode) *decision.Decision {
	d := &decision.Decision{
		Origin: decision.OriginLists, Type: decision.TypeBan, Scenario: l.Name, Scope: decision.ScopeRange, Value: p.String(),
		CreatedAt: l.Imported, Until: l.Until, Duration: l.Until.Sub(l.Imported), Simulated: mode == decision.ModeShadow,
	}
	if p.IsSingleIP() {
		d.Scope, d.Value = decision.ScopeIP, p.Addr().String()
	}
	return d
}
