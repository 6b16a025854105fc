package explain

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/grok"
)

// Stuck says how far a pattern that does not match comes.
type Stuck struct {
	Pattern string `json:"pattern"` // the longest beginning of the pattern that matches
	Wants   string `json:"wants"`   // what stands behind it in the pattern
	Text    string `json:"text"`    // what it matches
	Rest    string `json:"rest"`    // what follows in the text
}

// Near is a parser that a line without parsers is nearly for.
type Near struct {
	Name string `json:"name"`
	At   string `json:"at"`
	Why  string `json:"why"` // the part of its filter that is not true; those before it are

	before int // parts that are true
}

// maxNear is how many parsers are named that a line is nearly for.
const maxNear = 3

// near returns the parsers of the stage in which a line got stuck whose filters are true in part.
func (x *Explainer) near(evt *event.Event) []Near {
	var out []Near
	for _, n := range x.config.Rules.Parsers.Nodes() {
		if n.Stage() != evt.Stage || n.Filter() == nil {
			continue
		}
		why, ok := x.recorder.why.Why(n.Filter(), &expr.Vars{Event: detached(evt)})
		if ok && why.Before > 0 {
			out = append(out, Near{n.Name(), at(n.Pos()), why.String(), why.Before})
		}
	}
	slices.SortStableFunc(out, func(a, b Near) int { return cmp.Compare(b.before, a.before) })
	return out[:min(len(out), maxNear)]
}

// stick says of patterns that did not match how far they came.
func (x *Explainer) stick(nodes []*Node) {
	for _, n := range nodes {
		if g := n.Grok; g != nil && !g.OK && g.Pattern != "" {
			g.Stuck = x.prefixes.stuck(g.Pattern, g.Text)
		}
		x.stick(n.Children)
	}
}

// prefixes compiles the beginnings of patterns, once.
type prefixes struct {
	set   *grok.Set
	known map[string][]prefix
}

// prefix is a beginning of a pattern.
type prefix struct {
	source, wants string
	re            *regexp.Regexp
}

// Bounds of the work for one pattern.
const (
	maxPieces = 48
	maxTried  = 4096 // bytes of a text
)

// stuck returns the longest beginning of a pattern that matches some of the text, nil when none does.
func (p *prefixes) stuck(source, text string) *Stuck {
	list, ok := p.known[source]
	if !ok {
		list = p.split(source)
		p.known[source] = list
	}
	text = text[:min(len(text), maxTried)]
	for _, b := range list {
		if at := b.re.FindStringIndex(text); at != nil && at[1] > at[0] {
			return &Stuck{Pattern: b.source, Wants: b.wants, Text: text[at[0]:at[1]], Rest: text[at[1]:]}
		}
	}
	return nil
}

// split returns the beginnings of a pattern that are patterns themselves, the longest first. A
// pattern that is named is looked into.
func (p *prefixes) split(source string) (out []prefix) {
	if text := p.set.Text(source); text != "" {
		source = text
	}
	pieces := pieces(source)
	if len(pieces) > maxPieces {
		return nil
	}
	for k := len(pieces) - 1; k > 0; k-- {
		begin := strings.Join(pieces[:k], "")
		expanded, _, err := p.set.Expand(begin)
		if err != nil {
			continue
		}
		if re, err := regexp.Compile(expanded); err == nil { // else it ends inside a group
			out = append(out, prefix{begin, pieces[k], re})
		}
	}
	return out
}

// pieces cuts a pattern behind blanks and around references.
func pieces(source string) (out []string) {
	for source != "" {
		cut := len(source)
		switch open := strings.Index(source, "%{"); {
		case open == 0:
			if end := strings.IndexByte(source, '}'); end > 0 {
				cut = end + 1
			}
		case open > 0:
			cut = open
		}
		if blank := strings.IndexByte(source, ' '); blank >= 0 && blank+1 < cut && !strings.HasPrefix(source, "%{") {
			cut = blank + 1
		}
		out = append(out, source[:cut])
		source = source[cut:]
	}
	return out
}
