package match

import "slices"

// Info tells how a program matches, for people who write expressions.
type Info struct {
	Literals []string // text that every match contains, in this order and without overlap
	Anchored bool     // matches begin at the start of the text only
	OnePass  bool     // the next byte always decides: nothing is tried twice from one start
	Exact    bool     // too involved for the fast program: every text is matched with notes of what was tried
	Automata int      // parts that are one table each
	Nodes    int      // steps of the fast program
}

// Info returns how p matches. The caller owns what it holds.
func (p *Program) Info() Info {
	i := Info{Literals: slices.Clone(p.literals), Exact: p.fast == nil}
	if p.fast != nil {
		i.Anchored, i.OnePass, i.Automata, i.Nodes = p.fast.anchored, p.fast.onePass, p.fast.tokens, len(p.fast.nodes)
	} else {
		i.Anchored = p.certain().Anchored()
	}
	return i
}

// Literals returns text that every match contains, in order and without overlap. The caller must not
// change it.
func (p *Program) Literals() []string { return p.literals }
