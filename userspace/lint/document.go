package lint

import (
	"math"

	"gabion/userspace/bucket"
	"gabion/userspace/parse"
	"gabion/userspace/ruledoc"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

// doc is a document that is looked at: a parser or post-overflow rule, or a scenario.
type doc struct {
	rules.Document
	context  bool
	end      int // line at which the next document of the file begins
	parser   *parse.Document
	scenario *bucket.Document
}

// decode reads what there is to look at. What is wrong with the document is for loading to say.
func decode(d rules.Document, context bool) *doc {
	out := &doc{Document: d, context: context, end: math.MaxInt}
	switch d.Kind {
	case rules.Scenario:
		out.scenario = &bucket.Document{}
		_ = d.Decode(out.scenario)
	case rules.Parser, rules.PostOverflow:
		out.parser = &parse.Document{}
		_ = d.Decode(out.parser)
	}
	return out
}

// each calls f with a node and all nodes inside it.
func each(n *parse.Document, f func(*parse.Document)) {
	f(n)
	for i := range n.Nodes {
		each(&n.Nodes[i], f)
	}
}

// pattern returns the pattern of a grok key as an expression.
func pattern(g *parse.GrokDocument) string {
	if g.Name.Text != "" {
		return "%{" + g.Name.Text + "}"
	}
	return g.Pattern.Text
}

// source returns where the pattern of a grok key is named.
func source(g *parse.GrokDocument) yamlpos.Text {
	if g.Name.Text != "" {
		return g.Name
	}
	return g.Pattern
}

// statics returns the statics of a node, those of its grok first.
func statics(n *parse.Document) (out []*parse.StaticDocument) {
	if n.Grok != nil {
		for i := range n.Grok.Statics {
			out = append(out, &n.Grok.Statics[i])
		}
	}
	for i := range n.Statics {
		out = append(out, &n.Statics[i])
	}
	return out
}

// expression is an expression of a document with the key that it stands under.
type expression struct {
	key  string
	text yamlpos.Text
}

// expressions returns all expressions of a document.
func (d *doc) expressions() (out []expression) {
	add := func(key string, texts ...yamlpos.Text) {
		for _, t := range texts {
			if t.Text != "" {
				out = append(out, expression{key, t})
			}
		}
	}
	if s := d.scenario; s != nil {
		add("filter", s.Filter)
		add("groupby", s.GroupBy)
		add("distinct", s.Distinct)
		add("cancel_on", s.CancelOn)
		add("condition", s.Condition)
		add("overflow_filter", s.Overflow)
		add("scope", s.Scope.Expression)
		for _, c := range s.Clues {
			add("bayesian_conditions", c.Condition)
		}
	}
	if d.parser == nil {
		return out
	}
	each(d.parser, func(n *parse.Document) {
		add("filter", n.Filter)
		if n.Grok != nil {
			add("grok", n.Grok.Expression)
		}
		for _, s := range n.Stash {
			add("stash", s.Key, s.Value)
		}
		for _, s := range statics(n) {
			if s.Value == "" {
				add("statics", s.Expression)
			}
		}
		if n.Whitelist != nil {
			add("whitelist", n.Whitelist.Expressions...)
		}
	})
	return out
}

// data returns the data files that a document declares.
func (d *doc) data() (out []ruledoc.DataFile) {
	if d.scenario != nil {
		return d.scenario.Data
	}
	if d.parser != nil {
		each(d.parser, func(n *parse.Document) { out = append(out, n.Data...) })
	}
	return out
}
