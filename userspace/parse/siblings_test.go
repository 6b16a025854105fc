package parse

import (
	"fmt"
	"strings"
	"testing"
)

// family is a node with a child per pattern, all tried on the message, after head.
func family(head string, patterns ...string) []rule {
	var b strings.Builder
	b.WriteString("name: n\nstatics: [{parsed: last, value: done}]\nnodes:\n- statics: [{parsed: message, expression: evt.Line.Raw}]\n" + head)
	for i, p := range patterns {
		fmt.Fprintf(&b, "- grok: {pattern: '%s', apply_on: message, statics: [{meta: m%d, value: hit}]}\n", p, i)
	}
	b.WriteString("- statics: [{meta: end, value: seen}]\n")
	return []rule{doc("s00", b.String())}
}

func TestSiblingsMatchAsEachAlone(t *testing.T) {
	patterns := []string{"Failed %{WORD:a}", "Accepted %{WORD:b}", "Invalid %{WORD:c}", "from %{IP:d}", "port %{INT:e}", "%{INT:f}$", "(?i)BYE %{WORD:g}"}
	runRows(t, []row{
		{"all that match count", family("", patterns...), "Invalid user from 192.0.2.1 port 22", nil, want{
			Parsed: strs("message", "Invalid user from 192.0.2.1 port 22", "c", "user", "d", "192.0.2.1", "e", "22", "f", "22", "last", "done"),
			Meta:   strs("m2", "hit", "m3", "hit", "m4", "hit", "m5", "hit", "end", "seen")}},
		{"a pattern without required text is always tried", family("", patterns...), "bye 7x", nil, want{
			Parsed: strs("message", "bye 7x", "g", "7x", "last", "done"), Meta: strs("m6", "hit", "end", "seen")}},
		{"a text without anything matches nothing", family("", patterns...), "-", nil, want{
			Parsed: strs("message", "-", "last", "done"), Meta: strs("end", "seen")}},
		{"a sibling that changes the text changes it for those after it",
			family("", "none %{WORD:a}", "zero %{WORD:a}", "nil %{WORD:a}", "outer (?:%{GREEDYDATA:message})", "inner %{WORD:b}", "outer %{WORD:c}"), "outer inner x", nil, want{
				Parsed: strs("message", "inner x", "b", "x", "last", "done"), Meta: strs("m3", "hit", "m4", "hit", "end", "seen")}},
		{"a nephew tried on the same text does not confuse them",
			family("- nodes:\n  - grok: {pattern: 'x %{WORD:x}', apply_on: message}\n", patterns...), "Accepted key port 1", nil, want{
				Parsed: strs("message", "Accepted key port 1", "b", "key", "e", "1", "f", "1", "last", "done"), Meta: strs("m1", "hit", "m4", "hit", "m5", "hit", "end", "seen")}},
	})
}

func TestSiblingsThatCannotMatchAreNotTried(t *testing.T) {
	p := mustCompile(t, family("", "aaaa%{INT:a}", "bbbb%{INT:b}", "cccc%{INT:c}", "dddd%{INT:d}", "eeee%{INT:e}")...)
	var r run
	tried := 0
	for _, n := range p.stages[0].nodes[0].children {
		if n.grok != nil {
			r.matches(n.grok, "dddd7")
			tried = r.sifted.misses
		}
	}
	if !r.sifted.looked || tried != patience {
		t.Errorf("looked = %v, misses = %d; want %d, those before the index looked", r.sifted.looked, tried, patience)
	}
}
