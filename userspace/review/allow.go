package review

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"gabion/userspace/decision"
)

// Allowlist is who must not be hit.
type Allowlist struct {
	entries decision.PrefixMap[*Entry]
}

// Entry is a line of an allowlist.
type Entry struct {
	Prefix  netip.Prefix
	Comment string
	line    int
}

// Bounds of an allowlist and of what is kept of a wrong hit.
const (
	maxLine  = 4096
	maxHits  = 10 // of an entry
	maxLines = 10 // of a hit: the last ones
)

// ReadAllowlist reads an allowlist: one address or prefix on each line; what follows # is a comment.
// The error names every faulty line as file:line.
func ReadAllowlist(r io.Reader, file string) (*Allowlist, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	a := &Allowlist{}
	var faults []error
	n := 0
	for lines.Scan() {
		n++
		text, comment, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := decision.ParsePrefix(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", file, n, err))
			continue
		}
		a.entries.Put(p, &Entry{Prefix: p, Comment: strings.TrimSpace(comment), line: n})
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, fmt.Errorf("%s:%d: read allowlist: %w", file, n+1, err))
	}
	return a, errors.Join(faults...)
}

// Len returns the number of entries.
func (a *Allowlist) Len() int { return a.entries.Len() }

// of returns the entries that a decision about a value touches.
func (a *Allowlist) of(value string) (out []*Entry) {
	p, err := decision.ParsePrefix(value)
	if err != nil {
		return nil // a user's name, say
	}
	for _, e := range a.entries.Covering(p) {
		out = append(out, e)
	}
	for q, e := range a.entries.Within(p) {
		if q != p {
			out = append(out, e)
		}
	}
	return out
}

// Wrong is an entry of the allowlist that would have been hit.
type Wrong struct {
	Allowed string `json:"allowed"`
	Comment string `json:"comment,omitempty"`
	Hits    int    `json:"hits"`  // decisions
	First   []Hit  `json:"first"` // of the hits

	line int
}

// Hit is a decision that touches an entry of the allowlist.
type Hit struct {
	Time     time.Time `json:"time"`
	Type     string    `json:"type"`
	Scope    string    `json:"scope"`
	Value    string    `json:"value"`
	Duration string    `json:"duration"`
	Scenario string    `json:"scenario"`
	Lines    []string  `json:"lines"` // the last that led to it
}

// check compares the decisions of an alert with the allowlist. Simulated ones hit nobody.
func (r *Review) check(a *decision.Alert) {
	if r.allow == nil {
		return
	}
	for _, d := range a.Decisions {
		if d.Simulated {
			continue
		}
		for _, e := range r.allow.of(d.Value) {
			w := r.wrong[e]
			if w == nil {
				w = &Wrong{Allowed: short(e.Prefix), Comment: e.Comment, line: e.line}
				r.wrong[e] = w
			}
			w.Hits++
			if len(w.First) < maxHits {
				w.First = append(w.First, Hit{a.StopAt.UTC(), d.Type, d.Scope, d.Value, d.Duration.String(), a.Scenario, lastLines(a)})
			}
		}
	}
}

// short writes a prefix of one address as the address.
func short(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// lastLines returns the last lines of an alert's events, each once. They are copies.
func lastLines(a *decision.Alert) []string {
	out := []string{}
	for _, e := range a.Events[max(0, len(a.Events)-maxLines):] {
		if e.Line != "" && (len(out) == 0 || out[len(out)-1] != e.Line) {
			out = append(out, strings.Clone(e.Line))
		}
	}
	return out
}
