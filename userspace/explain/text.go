package explain

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Detail says how much WriteText prints of what there is.
type Detail int

// Details.
const (
	Brief   Detail = iota // what took the line
	Failing               // and what failed on it: patterns that do not match
)

// WriteText prints what became of a line for people. Values of the line are quoted where they hold
// anything but letters of one line.
func (l *Line) WriteText(w io.Writer, detail Detail) error {
	p := &printer{detail: detail, closest: map[*Node]bool{}}
	if l.Outcome == Unparsed {
		for _, n := range l.Nodes {
			p.findClosest(n)
		}
	}
	p.linef(0, "line %d: %s", l.Number, quoted(l.Raw))
	p.parsers(l)
	if l.Outcome == Parsed {
		p.scenarios(l)
	}
	for _, o := range l.Overflows {
		p.overflow(o)
	}
	_, err := w.Write(p.out.Bytes())
	return err
}

// printer prints an indented tree.
type printer struct {
	out     bytes.Buffer
	detail  Detail
	closest map[*Node]bool // nodes to print of a line that was not parsed, though they did nothing
}

// findClosest marks a node that was for the line and failed on it, and inside it the pattern that came
// farthest.
func (p *printer) findClosest(n *Node) {
	if n.OK || n.Filter != nil && !n.Filter.OK {
		return
	}
	p.closest[n] = true
	if path, _ := farthest(n); path != nil {
		for _, inner := range path {
			p.closest[inner] = true
		}
	}
}

// farthest returns the node at or inside another whose pattern came farthest, with those around it,
// and how far that is in bytes of the text.
func farthest(n *Node) (path []*Node, reached int) {
	if g := n.Grok; g != nil && g.Stuck != nil {
		path, reached = []*Node{n}, len(g.Stuck.Text)
	}
	for _, c := range n.Children {
		if inner, far := farthest(c); far > reached {
			path, reached = append([]*Node{n}, inner...), far
		}
	}
	return path, reached
}

func (p *printer) linef(depth int, format string, args ...any) {
	p.out.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&p.out, format, args...)
	p.out.WriteByte('\n')
}

func (p *printer) parsers(l *Line) {
	stage := ""
	for _, n := range l.Nodes {
		if !p.wanted(n) {
			continue
		}
		if n.Stage != stage {
			stage = n.Stage
			p.linef(1, "%s", stage)
		}
		p.node(2, n)
	}
	switch {
	case l.Outcome == Unparsed:
		p.linef(1, "not parsed: %s", quoted(l.Reason))
		for _, n := range l.Near {
			p.linef(2, "nearly for %s (%s), but not %s", n.Name, n.At, oneLine(n.Why))
		}
	case l.Outcome == Whitelisted:
		p.linef(1, "harmless: whitelisted, %s", quoted(l.Reason))
	case l.Time.IsZero():
		p.linef(1, "parsed, without a time that can be")
	default:
		p.linef(1, "parsed, happened at %s", l.Time.Format("2006-01-02 15:04:05.999 MST"))
	}
}

// wanted reports whether a node is printed: it did something, something went wrong in it, or
// whoever asks wants to see what does not match.
func (p *printer) wanted(n *Node) bool {
	did := n.OK && (n.Next != "" || n.Grok != nil) || n.Whitelist != nil && n.Whitelist.OK
	if did || p.closest[n] || p.detail >= Failing || len(n.Faults)+len(n.Set)+len(n.Stash) > 0 || n.Filter != nil && !n.Filter.OK {
		return true
	}
	for _, c := range n.Children {
		if p.wanted(c) {
			return true
		}
	}
	return false
}

func (p *printer) node(depth int, n *Node) {
	p.linef(depth, "%s %s (%s)", mark(n.OK), n.Name, n.At)
	depth++
	for _, f := range n.Faults {
		p.linef(depth, "! %s", quoted(f))
	}
	if n.Filter != nil && !n.Filter.OK {
		p.linef(depth, "not for this line: %s", oneLine(firstText(n.Filter.Why, n.Filter.Source)))
		return
	}
	if w := n.Whitelist; w != nil && w.OK {
		p.linef(depth, "whitelist matches: %s", quoted(w.Reason))
	}
	p.grok(depth, n)
	for _, s := range n.Stash {
		p.linef(depth, "stash %s keeps %s", s.Name, quoted(s.Text))
	}
	hidden := 0
	for _, c := range n.Children {
		if !p.wanted(c) {
			hidden++
			continue
		}
		p.node(depth, c)
	}
	if hidden > 0 {
		p.linef(depth, "(%s inside did not take it)", count(hidden, "other node"))
	}
	for _, c := range n.Set {
		if c.By != "grok" {
			p.change(depth, c)
		}
	}
	if n.Next != "" {
		p.linef(depth, "on to %s", n.Next)
	}
}

func (p *printer) grok(depth int, n *Node) {
	g := n.Grok
	if g == nil {
		return
	}
	if !g.OK {
		p.linef(depth, "pattern does not match %s = %s", oneLine(g.Input), quoted(g.Text))
		if p.detail >= Failing {
			p.linef(depth+1, "%s", oneLine(g.Pattern))
		}
		if s := g.Stuck; s != nil {
			p.linef(depth+1, "as far as %s it matches, up to %s", oneLine(s.Pattern), quoted(lastOf(s.Text)))
			p.linef(depth+1, "then it wants %s, and the text goes on with %s", strconv.Quote(s.Wants), strconv.Quote(firstOf(s.Rest)))
		}
		return
	}
	p.linef(depth, "pattern matches %s", oneLine(g.Input))
	for _, c := range n.Set {
		if c.By == "grok" {
			p.change(depth+1, c)
		}
	}
}

// change prints a value that was set. What a method or an expression sets elsewhere names it.
func (p *printer) change(depth int, c Change) {
	was, by := "", ""
	if c.Before != "" {
		was = " (was " + quoted(c.Before) + ")"
	}
	if c.By != "grok" && c.By != c.Field {
		by = " by " + c.By
	}
	p.linef(depth, "%s = %s%s%s", strings.TrimPrefix(c.Field, "evt."), quoted(c.After), was, by)
}

// fewRefused is how many scenarios that looked at a line in vain are listed in any case.
const fewRefused = 6

func (p *printer) scenarios(l *Line) {
	counted, hidden := 0, 0
	for _, s := range l.Scenarios {
		if s.Counts && s.Of == "" {
			counted++
		}
	}
	if counted == 0 {
		p.linef(1, "no scenario counts it")
	} else {
		p.linef(1, "%s %s it", count(counted, "scenario"), verb(counted, "counts", "count"))
	}
	few := len(l.Scenarios)-counted <= fewRefused
	all := slices.ContainsFunc(l.Scenarios, func(s *Scenario) bool { return !s.Asked }) // were asked for
	for _, s := range l.Scenarios {
		if s.Counts || s.Error != "" || p.detail >= Failing || few || all {
			p.scenario(2, s)
			continue
		}
		hidden++
	}
	if hidden > 0 {
		p.linef(2, "(%s looked at it and %s not count it: -v says why)", count(hidden, "scenario"), verb(hidden, "does", "do"))
	}
	if l.Unmoved > 0 {
		p.linef(2, "(%s not for such a line)", count(l.Unmoved, "scenario"))
	}
}

func (p *printer) scenario(depth int, s *Scenario) {
	of := ""
	if s.Of != "" {
		of = " (the overflow of " + s.Of + ")"
	}
	p.linef(depth, "%s %s%s: %s", mark(s.Counts), s.Name, of, s.Verdict())
	if s.Error != "" {
		p.linef(depth+1, "failed: %s", quoted(s.Error))
	}
}

// Verdict says in words what the scenario made of the event.
func (s *Scenario) Verdict() string {
	switch {
	case s.Counts && s.Outcome == "":
		return "counts it"
	case !s.Counts && s.Why == "":
		return "does not count it"
	case !s.Counts:
		return "no, because " + oneLine(s.Why)
	}
	bucket := "its bucket"
	if s.Key != "" {
		bucket = "bucket " + quoted(s.Key)
	}
	fill := count(s.Events, "event")
	if s.Capacity > 0 {
		fill += fmt.Sprintf(", filled to %s of %d", strconv.FormatFloat(s.Level, 'f', -1, 64), s.Capacity)
	}
	switch s.Outcome {
	case "counted":
		if s.Opened {
			return fmt.Sprintf("%s is new: %s", bucket, fill)
		}
		return fmt.Sprintf("%s has %s", bucket, fill)
	case "repeated":
		return fmt.Sprintf("%s has seen what distinct gives: still %s", bucket, fill)
	case "cancelled":
		return bucket + " is ended by cancel_on"
	case "overflowed":
		return fmt.Sprintf("%s OVERFLOWS with %s", bucket, count(s.Events, "event"))
	case "muted":
		return fmt.Sprintf("%s overflows, but its blackhole mutes it", bucket)
	case "filtered":
		return fmt.Sprintf("%s overflows, but overflow_filter refuses it", bucket)
	}
	return fmt.Sprintf("%s overflows, but its events name no source, so that nobody can be held to it", bucket)
}

func (p *printer) overflow(o *Overflow) {
	p.linef(1, "overflow of %s", o.Scenario)
	if o.Message != "" {
		p.linef(2, "%s", quoted(o.Message))
	}
	for _, n := range o.Nodes {
		if p.wanted(n) {
			p.node(2, n)
		}
	}
	if o.Error != "" {
		p.linef(2, "failed: %s", quoted(o.Error))
	}
	for _, d := range o.Decisions {
		note := ""
		if d.Simulated {
			note = " (simulated: counted, not enforced)"
		}
		p.linef(2, "decision: %s %s %s for %s%s", d.Type, d.Scope, quoted(d.Value), d.Duration, note)
	}
	for _, name := range o.Notifications {
		p.linef(2, "notification: %s", quoted(name))
	}
	switch {
	case o.Whitelisted:
		p.linef(2, "no decision: whitelisted, %s", quoted(o.Reason))
	case len(o.Decisions) == 0 && !o.Remediation:
		p.linef(2, "no decision: the scenario asks for none (labels.remediation is not true)")
	case len(o.Decisions) == 0:
		p.linef(2, "no decision: no profile takes the alert")
	}
}

func mark(ok bool) string {
	if ok {
		return "+"
	}
	return "-"
}

func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// maxShown bounds a value in the text, in bytes.
const maxShown = 300

// Around the place where a pattern got stuck so many bytes are shown.
const around = 40

func lastOf(s string) string {
	if len(s) <= around {
		return s
	}
	return "…" + strings.ToValidUTF8(s[len(s)-around:], "")
}

func firstOf(s string) string {
	if len(s) <= around {
		return s
	}
	return strings.ToValidUTF8(s[:around], "") + "…"
}

// quoted returns a text as it is when it is one line of printable characters, and quoted otherwise.
func quoted(s string) string {
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// oneLine puts a piece of a rule on one line.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}
