// Command gotest runs `go test` and says at the end, for all packages together, what passed, what
// failed and what was skipped, with the reason: go test itself hides skipped tests. Its arguments
// are those of go test.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // instead of Package, for what the compiler says
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

func main() {
	passed, err := run(os.Stdout, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

func run(w io.Writer, args []string) (passed bool, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	s := newSummary(w)
	readErr := s.read(out)
	err = cmd.Wait()
	s.print()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, readErr
	}
	return readErr == nil && s.failed == 0, errors.Join(readErr, err)
}

// summary counts tests and keeps the output of those that have not ended.
type summary struct {
	w               io.Writer
	passed, failed  int
	skipped         []string
	output          map[string]*strings.Builder // by package and test
	packageHadTests map[string]bool
}

func newSummary(w io.Writer) *summary {
	return &summary{w: w, output: map[string]*strings.Builder{}, packageHadTests: map[string]bool{}}
}

func (s *summary) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprint(s.w, string(line)) // not of test2json: show it as it is
			} else {
				s.take(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what go test says: %w", err)
		}
	}
}

func (s *summary) take(e event) {
	key := e.Package + e.ImportPath + "\x00" + e.Test
	switch e.Action {
	case "output", "build-output":
		if s.output[key] == nil {
			s.output[key] = &strings.Builder{}
		}
		s.output[key].WriteString(e.Output)
		return
	case "pass", "fail", "skip", "build-fail":
	default:
		return
	}
	said := ""
	if b := s.output[key]; b != nil {
		said = b.String()
	}
	delete(s.output, key)
	if e.Test == "" {
		s.takePackage(e, said)
		return
	}
	s.packageHadTests[e.Package] = true
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped = append(s.skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(said)))
	case "fail":
		s.failed++
		fmt.Fprint(s.w, said)
	}
}

func (s *summary) takePackage(e event, said string) {
	switch {
	case e.Action == "pass":
		fmt.Fprintf(s.w, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
	case e.Action == "skip": // it has no tests
	default:
		if e.Action == "fail" && !s.packageHadTests[e.Package] {
			s.failed++ // it did not build, or ended before a test did
		}
		fmt.Fprint(s.w, said)
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

func (s *summary) print() {
	if len(s.skipped) > 0 {
		fmt.Fprintf(s.w, "\nSKIPPED, so not shown to work on this machine:\n")
		for _, line := range s.skipped {
			fmt.Fprintf(s.w, "  %s\n", line)
		}
		fmt.Fprintln(s.w)
	}
	fmt.Fprintf(s.w, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, len(s.skipped))
}
