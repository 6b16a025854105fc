package parse

import "gabion/userspace/grok"

const (
	minSiblings = 4 // nodes that are worth an index

	// patience is how many of them may miss before the index looks at the text: often one of the
	// first matches, and to look costs as much as some misses.
	patience = 2
)

// siblings are the nodes inside one node whose patterns are tried on the same text, one after another.
type siblings struct {
	index *grok.Index
}

// newSiblings finds the siblings among nodes and tells each what it is.
func newSiblings(nodes []*node) {
	bySource := map[string][]*grokStep{}
	for _, n := range nodes {
		if g := n.grok; g != nil && g.pattern != nil && g.expression == nil {
			bySource[g.input()] = append(bySource[g.input()], g)
		}
	}
	for _, steps := range bySource {
		if len(steps) < minSiblings {
			continue
		}
		patterns := make([]*grok.Pattern, len(steps))
		for i, g := range steps {
			patterns[i] = g.pattern
		}
		s := &siblings{index: grok.NewIndex(patterns)}
		for i, g := range steps {
			g.siblings, g.number = s, i
		}
	}
}

// sifted is what is known of a text while siblings try their patterns on it. It belongs to one run.
type sifted struct {
	siblings *siblings
	text     string
	misses   int
	looked   bool // the index looked at the text
	found    grok.Candidates
}

// matches tries the step's pattern on text, unless the index of its siblings rules it out.
func (r *run) matches(g *grokStep, text string) bool {
	if g.siblings == nil {
		return g.pattern.Match(text, &r.match)
	}
	s := &r.sifted
	if s.siblings != g.siblings || s.text != text {
		*s = sifted{siblings: g.siblings, text: text}
	}
	if !s.looked && s.misses >= patience {
		s.looked, s.found = true, g.siblings.index.Candidates(text)
	}
	if s.looked && !s.found.Has(g.number) {
		return false
	}
	if g.pattern.Match(text, &r.match) {
		return true
	}
	s.misses++
	return false
}
