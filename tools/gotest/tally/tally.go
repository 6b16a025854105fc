// Package tally reads what test2json says (go doc test2json) and counts what passed, what failed and
// what was skipped, with the reason: go test itself hides skipped tests.
package tally

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of test2json's output.
type event struct {
	Action     string
	Package    string
	ImportPath string // instead of Package, for what the compiler says
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// Tally counts tests and keeps the output of those that have not ended. It belongs to one goroutine.
type Tally struct {
	w               io.Writer
	passed, failed  int
	skipped         []string
	output          map[string]*strings.Builder // by package and test
	packageHadTests map[string]bool
}

// New returns an empty tally that prints to w what packages and failed tests say.
func New(w io.Writer) *Tally {
	return &Tally{w: w, output: map[string]*strings.Builder{}, packageHadTests: map[string]bool{}}
}

// Read takes events until r ends. A line that is none is printed as it is.
func (t *Tally) Read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprint(t.w, string(line))
			} else {
				t.take(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what the tests say: %w", err)
		}
	}
}

func (t *Tally) take(e event) {
	key := e.Package + e.ImportPath + "\x00" + e.Test
	switch e.Action {
	case "output", "build-output":
		if t.output[key] == nil {
			t.output[key] = &strings.Builder{}
		}
		t.output[key].WriteString(e.Output)
		return
	case "pass", "fail", "skip", "build-fail":
	default:
		return
	}
	said := ""
	if b := t.output[key]; b != nil {
		said = b.String()
	}
	delete(t.output, key)
	if e.Test == "" {
		t.takePackage(e, said)
		return
	}
	t.packageHadTests[e.Package] = true
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped = append(t.skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(said)))
	case "fail":
		t.failed++
		fmt.Fprint(t.w, said)
	}
}

func (t *Tally) takePackage(e event, said string) {
	switch {
	case e.Action == "pass":
		fmt.Fprintf(t.w, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
	case e.Action == "skip": // it has no tests
	default:
		if e.Action == "fail" && !t.packageHadTests[e.Package] {
			t.failed++ // it did not build, or ended before a test did
		}
		fmt.Fprint(t.w, said)
	}
}

// reason takes out of a skipped test's output what it says itself.
func reason(said string) string {
	for line := range strings.Lines(said) {
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok := strings.Cut(text, ": "); ok {
				return strings.TrimPrefix(strings.TrimSpace(text), "SKIPPED: ")
			}
		}
	}
	return "no reason given"
}

// Fail counts something that failed outside of any test. It prints what tests said that have not ended,
// then why.
func (t *Tally) Fail(why string) {
	t.failed++
	for _, key := range slices.Sorted(maps.Keys(t.output)) {
		fmt.Fprint(t.w, t.output[key].String())
	}
	clear(t.output)
	fmt.Fprintln(t.w, why)
}

// Ran returns how many tests have ended so far, in whatever way.
func (t *Tally) Ran() int { return t.passed + t.failed + len(t.skipped) }

// Failed returns how many tests failed so far, packages that did not get as far as a test included.
func (t *Tally) Failed() int { return t.failed }

// Counts returns the tally in words.
func (t *Tally) Counts() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, len(t.skipped))
}

// Print says what was skipped, so not shown to work on the machine that where names, and the counts.
func (t *Tally) Print(where string) {
	if len(t.skipped) > 0 {
		fmt.Fprintf(t.w, "\nSKIPPED, so not shown to work on %s:\n", where)
		for _, line := range t.skipped {
			fmt.Fprintf(t.w, "  %s\n", line)
		}
		fmt.Fprintln(t.w)
	}
	fmt.Fprintln(t.w, t.Counts())
}
