package lint

import (
	"fmt"
	"slices"
	"strings"

	"gabion/userspace/expr"
	"gabion/userspace/parse"
	"gabion/userspace/rules"
)

// checkFields reports fields that are read and set by nobody, constants that a field never has, and
// captures that nobody reads. Without parsers it is not known what sets fields.
func (l *linter) checkFields() {
	if !l.shared.parsers {
		return
	}
	for _, d := range l.docs {
		if d.context || l.faulty[d.Pos()] {
			continue
		}
		for _, e := range d.expressions() {
			l.checkReads(d, e)
			if e.key == "filter" {
				l.checkDemands(e)
			}
		}
		if d.Kind == rules.Parser {
			l.checkCaptures(d)
		}
	}
}

// ruleSet reports whether a set is one whose fields only rules set: what Unmarshaled holds is in the log, labels
// come from the configuration of the sources.
func ruleSet(set string) bool { return set == "Meta" || set == "Parsed" || set == "Enriched" }

func (l *linter) checkReads(d *doc, e expression) {
	said := map[string]bool{}
	for _, u := range l.look(e.text.Text).Reads {
		name := u.Set + "." + u.Key
		if !ruleSet(u.Set) || l.shared.set[name] || said[name] {
			continue
		}
		said[name] = true
		severity := Warning
		if e.key == "statics" { // which is then left out: parsers read what only some sources give
			severity = Hint
		}
		l.add(e.text.At(u.At), severity, "unset-field", fmt.Sprintf("no rule sets evt.%s", name), l.shared.nearField(name))
	}
}

// checkDemands reports comparisons with constants that the field never has.
func (l *linter) checkDemands(e expression) {
	for _, d := range expr.Demands(e.text.Text) {
		name := d.Map + "." + d.Key
		if !l.shared.set[name] || l.shared.open[name] {
			continue
		}
		var missing []string
		for _, v := range d.Values {
			if v != "" && !l.shared.hasValue(name, v) {
				missing = append(missing, v)
			}
		}
		switch {
		case len(missing) == 0:
		case len(missing) == len(d.Values):
			l.add(e.text.At(d.At), Warning, "unset-value",
				fmt.Sprintf("no rule sets evt.%s to %s: this is never true", name, quotedList(missing)), l.shared.nearValue(name, missing[0]))
		default:
			l.add(e.text.At(d.At), Hint, "unset-value",
				fmt.Sprintf("no rule sets evt.%s to %s", name, quotedList(missing)), l.shared.nearValue(name, missing[0]))
		}
	}
}

// checkCaptures reports captures that no rule reads, one finding for each pattern.
func (l *linter) checkCaptures(d *doc) {
	each(d.parser, func(n *parse.Document) {
		if n.Grok == nil || n.Grok.Pattern.Text == "" {
			return
		}
		var unread []string
		for _, f := range ownFields(n.Grok.Pattern.Text) {
			if !l.shared.read["Parsed."+f] {
				unread = append(unread, f)
			}
		}
		if len(unread) > 0 {
			slices.Sort(unread)
			l.add(n.Grok.Pattern.Pos, Hint, "unused-capture",
				fmt.Sprintf("no rule reads what is captured as %s", strings.Join(slices.Compact(unread), ", ")),
				"leave the name out: %{NAME} in place of %{NAME:field}")
		}
	})
}

// ownFields returns the fields that a grok expression names itself.
func ownFields(text string) (out []string) {
	for _, piece := range strings.Split(text, "%{")[1:] {
		if name, _, ok := strings.Cut(piece, "}"); ok {
			if _, field, ok := strings.Cut(name, ":"); ok {
				out = append(out, field)
			}
		}
	}
	return out
}

func quotedList(values []string) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf("%q", v))
	}
	return strings.Join(out, " or ")
}
