package hubtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gabion/userspace/hubtest/assert"
)

// Bounds of a line of assertions, in bytes.
const (
	maxLine = 16 << 20

	// maxCompatible is where the hub's own tool stops reading, without saying so.
	maxCompatible = 64 << 10
)

// Failure is an assertion that does not hold.
type Failure struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Assertion string `json:"assertion"`
	Expected  string `json:"expected,omitempty"` // of a comparison: the value that the assertion wants
	Actual    string `json:"actual,omitempty"`   // and the one that came out
	Error     string `json:"error,omitempty"`    // why the assertion has no answer
}

// judge evaluates the assertion files that count. The test passes when all assertions hold.
//
// The hub's own tool overlooks two kinds of false assertions, and so does judge when Compatible is
// set: lines of scenario.assert that are no comparison, and comparisons whose left side the tool
// cannot take out of the line, because a key in it has a blank. It reads a file up to a long line.
func (t *test) judge(r *Result) {
	files := []struct {
		name    string
		counts  bool
		results any
	}{
		{parserFile, t.config.countsParsers(), t.state.Parsers},
		{scenarioFile, t.config.countsScenarios(), t.state.Scenarios},
	}
	for _, f := range files {
		if !f.counts {
			continue
		}
		n := r.Assertions
		e := assert.New(f.results, t.lib.Functions())
		err := t.assertions(f.name, func(line int, text string) {
			r.Assertions++
			failure, failed := t.evaluate(e, f.name == scenarioFile, text)
			if failed {
				failure.File, failure.Line = filepath.Join(t.dir, f.name), line
				r.Failures = append(r.Failures, failure)
			}
		})
		switch {
		case err != nil:
			r.Reason = err.Error()
			return
		case r.Assertions == n:
			r.Reason = fmt.Sprintf("%s has no assertions: --update writes them from what comes out", f.name)
			return
		}
	}
	switch n := len(r.Failures); {
	case n > 0:
		first := r.Failures[0]
		r.Reason = fmt.Sprintf("%s:%d: %s", filepath.Base(first.File), first.Line, first.cause())
		if n > 1 {
			r.Reason += fmt.Sprintf(" (and %d more)", n-1)
		}
	default:
		r.Outcome = Passed
	}
}

// evaluate evaluates one line.
func (t *test) evaluate(e *assert.Evaluator, scenario bool, text string) (f Failure, failed bool) {
	rewritten := assert.Rewrite(text)
	holds, err := e.Holds(rewritten)
	if holds && err == nil {
		return f, false
	}
	f.Assertion = text
	if err != nil {
		f.Error = err.Error()
		return f, true
	}
	if t.options.Compatible {
		comparison, explained := e.Explained(rewritten)
		if !explained && (comparison || scenario) {
			return f, false
		}
	}
	if found, wanted, ok := e.Sides(rewritten); ok {
		f.Expected, f.Actual = assert.Format(wanted), assert.Format(found)
	}
	return f, true
}

// cause says in a few words why the assertion does not hold.
func (f *Failure) cause() string {
	switch {
	case f.Error != "":
		return f.Error
	case f.Expected != "":
		return fmt.Sprintf("expected %s, found %s", shorten(f.Expected), shorten(f.Actual))
	}
	return "the assertion is false: " + shorten(f.Assertion)
}

func shorten(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// assertions calls yield with every line of a file that is not empty. A file that is missing has
// none.
func (t *test) assertions(name string, yield func(line int, text string)) error {
	data, err := os.ReadFile(filepath.Join(t.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read assertions: %w", err)
	}
	lines, most := bufio.NewScanner(bytes.NewReader(data)), maxLine
	if t.options.Compatible {
		most = maxCompatible
	}
	lines.Buffer(nil, most)
	n := 0
	for lines.Scan() {
		n++
		if text := lines.Text(); text != "" {
			yield(n, text)
		}
	}
	if lines.Err() != nil && !t.options.Compatible {
		return fmt.Errorf("%s:%d: the line is longer than %d MiB", name, n+1, maxLine>>20)
	}
	return nil
}
