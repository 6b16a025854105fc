package parse

import (
	"fmt"
	"strconv"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/grok"
	"gabion/userspace/yamlpos"
)

// Bounds of the time that patterns take, which is in proportion to the text.
const (
	// maxText is how much of a text a pattern is tried on, as much as sources give of a line. What is
	// cut is not captured.
	maxText = 64 << 10

	// maxSearched is how much the patterns of all nodes are tried on for one event, after which no
	// further pattern matches it: a long line that no rule understands must not hold up the others.
	// It is far from what ordinary lines need, 500 patterns on a line of 1 KiB.
	maxSearched = 512 << 10
)

var errTooMuch = fmt.Errorf("patterns were tried on more than %d KiB of it: the rest of them are left out", maxSearched>>10)

// grokStep is a compiled grok key.
type grokStep struct {
	pattern    *grok.Pattern
	source     yamlpos.Text // of the pattern, or its name
	names      []event.Key  // fields that the pattern captures
	line       bool         // apply on the raw line
	applyOn    event.Key    // or else on this key of Parsed, when not empty
	expression *expr.Program
	statics    []*static
	siblings   *siblings // nil without enough of them
	number     int       // among the siblings
}

func (c *compiler) grok(d *GrokDocument) *grokStep {
	g := &grokStep{line: d.ApplyOn == "Line.Raw", applyOn: event.NewKey(d.ApplyOn)}
	var err error
	switch {
	case d.Name.Text != "":
		g.source = d.Name
		if g.pattern, err = c.patterns.CompileName(d.Name.Text); err != nil {
			c.errs.Add(d.Name.Pos, c.unknownPattern(err))
		}
	case d.Pattern.Text != "":
		g.source = d.Pattern
		if g.pattern, err = c.patterns.Compile(d.Pattern.Text); err != nil {
			c.errs.Add(d.Pattern.Pos, c.unknownPattern(err))
		}
	default:
		c.missing(d.At, "grok needs a name or a pattern", "name", "pattern")
	}
	if g.pattern != nil {
		for _, name := range g.pattern.Names() {
			g.names = append(g.names, event.NewKey(name))
		}
	}
	switch {
	case d.Expression.Text != "":
		g.expression = c.expression(d.Expression, expr.Any)
	case d.ApplyOn == "":
		c.missing(d.At, "grok needs apply_on or expression", "apply_on", "expression")
	}
	g.statics = c.statics(d.Statics)
	return g
}

// applyGrok matches the node's pattern, merges what it captured into Parsed and runs its statics.
func (r *run) applyGrok(n *node) (bool, error) {
	text, ok := r.grokText(n)
	if ok && r.match.Searched() > maxSearched {
		r.fault(n, "line took too long to match", errTooMuch)
		ok = false
	}
	if !ok || !r.matches(n.grok, text) {
		r.tellGrok(n, false, text)
		return false, nil
	}
	for i, key := range n.grok.names {
		r.evt.Parsed.SetKey(key, r.match.Get(i))
	}
	r.tellGrok(n, true, text)
	for _, s := range n.grok.statics {
		if err := r.apply(n, s); err != nil {
			return true, err
		}
	}
	return true, nil
}

// tellGrok tells the trace, if there is one, whether the pattern matches the text.
func (r *run) tellGrok(n *node, ok bool, text string) {
	if r.trace != nil {
		r.tell(n, StepGrok, ok, n.grok.input(), text, nil)
	}
}

// input names what the pattern is matched with.
func (g *grokStep) input() string {
	switch {
	case g.line:
		return "evt.Line.Raw"
	case g.applyOn.Name() != "":
		return "evt.Parsed." + g.applyOn.Name()
	}
	return g.expression.Source()
}

// grokText returns the text to match, cut at maxText.
func (r *run) grokText(n *node) (text string, ok bool) {
	g := n.grok
	switch {
	case g.line:
		text, ok = r.evt.Line.Raw, true
	case g.applyOn.Name() != "":
		text, ok = r.evt.Parsed.LookupKey(g.applyOn)
	default:
		text, ok = r.grokExpression(n)
	}
	return text[:min(len(text), maxText)], ok
}

// grokExpression computes the text to match. Values that have no text are matched as "".
func (r *run) grokExpression(n *node) (string, bool) {
	v, err := n.grok.expression.Value(&r.vars)
	if err != nil {
		r.fault(n, "grok expression failed", err)
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return formatFloat(v), true
	case float32:
		return formatFloat(float64(v)), true
	}
	r.fault(n, "grok expression gives no text", fmt.Errorf("it gives %T", v))
	return "", true
}

// formatFloat writes six decimals: rules compare with "200.000000".
func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', 6, 64) }
