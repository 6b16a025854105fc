package lint

import (
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"gabion/userspace/expr"
	"gabion/userspace/parse"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

func (l *linter) checkParser(d *doc) {
	if d.parser == nil {
		return
	}
	l.checkExpressions(d)
	each(d.parser, func(n *parse.Document) {
		l.checkNode(n)
		l.checkShadowed(n)
		l.checkPatterns(n)
	})
	l.checkPromotion(d)
}

// checkExpressions looks at what all expressions have in common.
func (l *linter) checkExpressions(d *doc) {
	for _, e := range d.expressions() {
		switch e.key {
		case "filter", "condition", "overflow_filter", "cancel_on", "whitelist", "bayesian_conditions":
			if c, never := expr.Never(e.text.Text); never {
				l.add(e.text.At(c.At), Error, "never-true", e.key+" is never true: "+c.Text, "")
			}
		}
		for _, c := range l.look(e.text.Text).Calls {
			if c.Name == "GetFromStash" && len(c.Args) > 0 && c.Args[0] != nil && !l.shared.stashes[*c.Args[0]] {
				l.add(e.text.At(c.At), Warning, "unknown-stash", fmt.Sprintf("no parser keeps a stash %q", *c.Args[0]),
					suggest(yamlpos.Nearest(*c.Args[0], maps.Keys(l.shared.stashes))))
			}
		}
		for _, at := range misreadPattern(e.text.Text) {
			l.add(e.text.At(at), Hint, "text-or-pattern", "contains, startsWith and endsWith compare text: this reads like a pattern",
				"compare with matches")
		}
	}
}

// suggest asks whether a near name is meant.
func suggest(near string) string {
	if near == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", near)
}

// patternLike finds a comparison of text with what is a pattern beyond doubt.
var patternLike = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b(?:contains|startsWith|endsWith)\s+(?:'[^']*(?:\.\*|\.\+|\[0-9\]|\[a-z\])[^']*'|"[^"]*(?:\.\*|\.\+|\[0-9\]|\[a-z\])[^"]*")`)
})

// misreadPattern returns the offsets of such comparisons.
func misreadPattern(src string) (out []int) {
	for _, at := range patternLike().FindAllStringIndex(src, -1) {
		out = append(out, at[0])
	}
	return out
}

func (l *linter) checkNode(n *parse.Document) {
	if n.Grok != nil {
		l.checkGrok(n.Grok)
	}
	for _, s := range statics(n) {
		l.checkStatic(s)
	}
	for _, s := range n.Stash {
		if s.Name != "" && !l.shared.stashed[s.Name] {
			l.add(s.At.Key("name"), Hint, "unread-stash", fmt.Sprintf("no expression reads the stash %q with GetFromStash", s.Name), "")
		}
	}
	if w := n.Whitelist; w != nil && w.Reason == "" {
		l.add(w.At.Pos(), Hint, "no-reason", "whitelist without a reason", "say in reason why such lines are harmless")
	}
	if n.Debug {
		l.add(n.At.Key("debug"), Hint, "debug", "debug makes the rule slow and fills the log", "")
	}
	if n.Profiling {
		l.add(n.At.Key("profiling"), Hint, "no-effect", "profiling has no effect any more", "leave it out")
	}
}

func (l *linter) checkStatic(s *parse.StaticDocument) {
	if m := s.Method; m != "" && l.config.Deps.Methods[m] == nil {
		l.add(s.At.Key("method"), Warning, "unknown-method", fmt.Sprintf("there is no method %q: the static is left out", m),
			suggest(yamlpos.Nearest(m, maps.Keys(l.config.Deps.Methods))))
	}
	if s.Target != "" && s.Method == "" && s.Parsed == "" && s.Meta == "" && s.Enriched == "" {
		if err := parse.CheckTarget(s.Target); err != nil {
			l.add(s.At.Key("target"), Warning, "unknown-target", err.Error()+": the static is left out", "")
		}
	}
}

func (l *linter) checkGrok(g *parse.GrokDocument) {
	expanded, fields, err := l.patterns.Expand(pattern(g))
	if err != nil || pattern(g) == "" {
		return // loading says so
	}
	at := source(g).Pos
	if len(fields) == 0 {
		l.add(at, Warning, "no-capture", "a pattern that captures nothing never counts as a match",
			"give a reference a field, such as %{DATA:text}")
	}
	if tree, err := syntax.Parse(expanded, syntax.Perl); err == nil {
		if why := cannotMatch(tree); why != "" {
			l.add(at, Error, "never-matches", "the pattern matches no text: "+why, "")
		}
	}
	if on := g.ApplyOn; on != "" && on != "Line.Raw" && !l.shared.set["Parsed."+on] {
		suggestion := l.shared.nearField("Parsed." + on)
		if strings.Contains(on, ".") {
			suggestion = "apply_on takes Line.Raw or the name of a parsed field; write others as expression"
		}
		l.add(g.At.Key("apply_on"), Warning, "unset-field", fmt.Sprintf("no rule sets evt.Parsed.%s, so that the pattern is never tried", on), suggestion)
	}
}

// checkShadowed looks for patterns that are never tried because a sibling before them matches first.
func (l *linter) checkShadowed(outer *parse.Document) {
	if outer.OnSuccess.Text != "next_stage" {
		return // all of them are tried
	}
	var before []*parse.Document
	for i := range outer.Nodes {
		n := &outer.Nodes[i]
		for _, e := range before {
			if l.shadows(e, n) {
				l.add(source(n.Grok).Pos, Warning, "shadowed",
					fmt.Sprintf("the pattern on line %d matches everything that this one matches, and comes first", source(e.Grok).Pos.Line),
					"put this one before it")
				break
			}
		}
		before = append(before, n)
	}
}

// shadows reports whether a node surely takes every event that a later sibling could take.
func (l *linter) shadows(earlier, later *parse.Document) bool {
	a, b := earlier.Grok, later.Grok
	if a == nil || b == nil || pattern(a) == "" || pattern(b) == "" || earlier.Filter.Text != "" && earlier.Filter.Text != later.Filter.Text ||
		a.ApplyOn != b.ApplyOn || a.Expression.Text != b.Expression.Text {
		return false
	}
	x, fields, errX := l.patterns.Expand(pattern(a))
	y, _, errY := l.patterns.Expand(pattern(b))
	if errX != nil || errY != nil || len(fields) == 0 {
		return false
	}
	first, errX := syntax.Parse(x, syntax.Perl)
	second, errY := syntax.Parse(y, syntax.Perl)
	return errX == nil && errY == nil && covers(first, second)
}

// checkPatterns looks at the patterns that a node defines.
func (l *linter) checkPatterns(n *parse.Document) {
	for _, p := range n.PatternSyntax {
		if have := l.patterns.Text(p.Key.Text); have != "" && have != p.Value.Text {
			l.add(p.Key.Pos, Warning, "redefined-pattern", fmt.Sprintf("pattern %s is defined before in another way, which stays", p.Key.Text),
				"give it another name")
		}
		if !l.shared.used[p.Key.Text] {
			l.add(p.Key.Pos, Hint, "unused-pattern", fmt.Sprintf("no rule uses the pattern %s", p.Key.Text), "")
		}
	}
}

// checkPromotion looks for parsers after which a line is given up.
func (l *linter) checkPromotion(d *doc) {
	if d.Kind != rules.Parser || d.Stage == l.lastStage() {
		return
	}
	promotes := false
	each(d.parser, func(n *parse.Document) { promotes = promotes || n.OnSuccess.Text == "next_stage" })
	if !promotes && d.parser.Whitelist == nil {
		l.add(d.Pos(), Hint, "no-next-stage",
			fmt.Sprintf("no node sends lines on from %s: they are given up unless another parser of the stage takes them too", d.Stage),
			"add onsuccess: next_stage")
	}
}

// lastStage returns the last stage of the parsers.
func (l *linter) lastStage() (last string) {
	for _, d := range l.docs {
		if d.Kind == rules.Parser {
			last = max(last, d.Stage)
		}
	}
	return last
}
