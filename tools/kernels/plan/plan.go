// Package plan is what the program that boots a kernel and the one that is init inside it agree on: the
// list of things to do, which travels in the initramfs, and the marks between the outputs of tests on
// the serial line that come back.
package plan

import (
	"fmt"
	"io"
	"strings"
)

const (
	// Path is where the initramfs has the Plan, in JSON.
	Path = "/plan.json"
	// Results is the serial line that the guest writes marks and outputs to. The kernel's own
	// messages go to the first one.
	Results = "/dev/ttyS1"
)

// Plan is what init does before it turns the machine off.
type Plan struct {
	Nonce   string   // random: no output of a test can look like a mark
	Modules []string // kernel modules, files in the initramfs, in the order to load them in
	Tests   []Test
}

// Test is one test binary to run.
type Test struct {
	Package string   // import path
	Dir     string   // directory to run it in, absolute in the initramfs
	Binary  string   // absolute in the initramfs
	Args    []string // for the binary
	Collect []string // files below Dir to send back afterwards
}

// Verb is what a mark says.
type Verb string

// The guest writes Booted once, then Begin, the output, End and any Files for every test, and Done
// when there is nothing left to do. What has no Done behind it did not end well.
const (
	Booted  Verb = "booted"  // kernel release
	Trouble Verb = "trouble" // one line of text: the guest cannot do what the plan says
	Begin   Verb = "begin"   // package
	End     Verb = "end"     // package, Succeeded or what went wrong
	File    Verb = "file"    // package, name as in Collect, content in base64
	Done    Verb = "done"
)

// Succeeded is the word of a test binary that ended well in its End mark.
const Succeeded = "ok"

// Mark writes a mark as a line of its own. No word but the last may contain a space, and none a
// newline.
func Mark(w io.Writer, nonce string, verb Verb, words ...string) error {
	line := strings.Join(append([]string{"@" + nonce, string(verb)}, words...), " ")
	_, err := fmt.Fprintf(w, "\n%s\n", strings.ReplaceAll(line, "\n", " "))
	return err
}

// ParseMark takes a line apart that Mark wrote with this nonce. Any other line is not ok.
func ParseMark(line, nonce string) (verb Verb, rest string, ok bool) {
	text, ok := strings.CutPrefix(line, "@"+nonce+" ")
	if !ok {
		return "", "", false
	}
	word, rest, _ := strings.Cut(strings.TrimRight(text, "\r\n"), " ")
	return Verb(word), rest, true
}
