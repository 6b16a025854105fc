package lint

import (
	"math"

	"gabion/userspace/ruledoc"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

// doc is a document that is looked at: a parser or post-overflow rule, or a scenario.
type doc struct {
	rules.Document
	context  bool
	end      int // line at which the next document of the file begins
	parser   *node
	scenario *scenario
}

// node is what is looked at of a parser's node. Which keys there are is for loading to say.
type node struct {
	At        yamlpos.Mapping    `yaml:",mapping"`
	OnSuccess yamlpos.Text       `yaml:"onsuccess"`
	Stage     yamlpos.Text       `yaml:"stage"`
	Debug     bool               `yaml:"debug"`
	Filter    yamlpos.Text       `yaml:"filter"`
	Nodes     []node             `yaml:"nodes"`
	Patterns  yamlpos.OrderedMap `yaml:"pattern_syntax"`
	Grok      *grokKey           `yaml:"grok"`
	Statics   []static           `yaml:"statics"`
	Stash     []stash            `yaml:"stash"`
	Whitelist *whitelist         `yaml:"whitelist"`
	Data      []ruledoc.DataFile `yaml:"data"`
}

type grokKey struct {
	At         yamlpos.Mapping `yaml:",mapping"`
	Name       yamlpos.Text    `yaml:"name"`
	Pattern    yamlpos.Text    `yaml:"pattern"`
	ApplyOn    yamlpos.Text    `yaml:"apply_on"`
	Expression yamlpos.Text    `yaml:"expression"`
	Statics    []static        `yaml:"statics"`
}

// text returns the pattern as an expression.
func (g *grokKey) text() string {
	if g.Name.Text != "" {
		return "%{" + g.Name.Text + "}"
	}
	return g.Pattern.Text
}

// source returns where the pattern is named.
func (g *grokKey) source() yamlpos.Text {
	if g.Name.Text != "" {
		return g.Name
	}
	return g.Pattern
}

type static struct {
	At         yamlpos.Mapping `yaml:",mapping"`
	Method     yamlpos.Text    `yaml:"method"`
	Parsed     yamlpos.Text    `yaml:"parsed"`
	Meta       yamlpos.Text    `yaml:"meta"`
	Enriched   yamlpos.Text    `yaml:"enriched"`
	Target     yamlpos.Text    `yaml:"target"`
	Value      yamlpos.Text    `yaml:"value"`
	Expression yamlpos.Text    `yaml:"expression"`
}

type stash struct {
	Name  yamlpos.Text `yaml:"name"`
	Key   yamlpos.Text `yaml:"key"`
	Value yamlpos.Text `yaml:"value"`
}

type whitelist struct {
	At          yamlpos.Mapping `yaml:",mapping"`
	Reason      string          `yaml:"reason"`
	Expressions []yamlpos.Text  `yaml:"expression"`
}

// scenario is what is looked at of a scenario.
type scenario struct {
	At        yamlpos.Mapping    `yaml:",mapping"`
	Type      yamlpos.Text       `yaml:"type"`
	Filter    yamlpos.Text       `yaml:"filter"`
	GroupBy   yamlpos.Text       `yaml:"groupby"`
	Distinct  yamlpos.Text       `yaml:"distinct"`
	Capacity  int                `yaml:"capacity"`
	Leakspeed yamlpos.Duration   `yaml:"leakspeed"`
	Duration  yamlpos.Duration   `yaml:"duration"`
	Blackhole yamlpos.Duration   `yaml:"blackhole"`
	CacheSize int                `yaml:"cache_size"`
	Overflow  yamlpos.Text       `yaml:"overflow_filter"`
	CancelOn  yamlpos.Text       `yaml:"cancel_on"`
	Condition yamlpos.Text       `yaml:"condition"`
	Scope     scope              `yaml:"scope"`
	Labels    *labels            `yaml:"labels"`
	Data      []ruledoc.DataFile `yaml:"data"`
	Debug     bool               `yaml:"debug"`
	Reprocess bool               `yaml:"reprocess"`
}

type scope struct {
	Type       yamlpos.Text `yaml:"type"`
	Expression yamlpos.Text `yaml:"expression"`
}

type labels struct {
	At          yamlpos.Mapping `yaml:",mapping"`
	Remediation any             `yaml:"remediation"`
}

// decode reads what there is to look at. What is wrong with the document is for loading to say.
func decode(d rules.Document, context bool) *doc {
	out := &doc{Document: d, context: context, end: math.MaxInt}
	switch d.Kind {
	case rules.Scenario:
		out.scenario = &scenario{}
		_ = d.Decode(out.scenario)
	case rules.Parser, rules.PostOverflow:
		out.parser = &node{}
		_ = d.Decode(out.parser)
	}
	return out
}

// each calls f with a node and all nodes inside it.
func (n *node) each(f func(n, outer *node)) { n.walk(nil, f) }

func (n *node) walk(outer *node, f func(n, outer *node)) {
	f(n, outer)
	for i := range n.Nodes {
		n.Nodes[i].walk(n, f)
	}
}

// all returns the statics of the node, those of its grok first.
func (n *node) all() (out []*static) {
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
	}
	if d.parser == nil {
		return out
	}
	d.parser.each(func(n, _ *node) {
		add("filter", n.Filter)
		if n.Grok != nil {
			add("grok", n.Grok.Expression)
		}
		for _, s := range n.Stash {
			add("stash", s.Key, s.Value)
		}
		for _, s := range n.all() {
			if s.Value.Text == "" {
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
		d.parser.each(func(n, _ *node) { out = append(out, n.Data...) })
	}
	return out
}
