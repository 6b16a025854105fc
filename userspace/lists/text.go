package lists

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"gabion/userspace/decision"
)

// Limits of a list that is read.
const (
	// MaxEntries is how many prefixes a list may have.
	MaxEntries = 10_000_000
	// maxLine is how long a line may be, in bytes.
	maxLine = 4096
	// maxFaults is how many faults are told before reading ends.
	maxFaults = 10
)

// ErrFull says that a list has more than MaxEntries entries.
var ErrFull = fmt.Errorf("more than %d entries: split the list", MaxEntries)

// Faults are the lines of a list that cannot be used, each as file:line: what is wrong.
type Faults []error

// Error returns one fault per line.
func (f Faults) Error() string { return errors.Join(f...).Error() }

// Read reads a list as people publish them: one address or prefix per line; what follows # or ; is a
// comment. The list is taken as a whole or not at all: with faults, named as file:line, there are no
// entries. The name of the file appears in errors only.
func Read(r io.Reader, file string) (*Entries, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	e := &Entries{}
	var faults Faults
	n := 0
	for lines.Scan() {
		n++
		p, ok, err := readLine(lines.Bytes())
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("%s:%d: %w", file, n, err))
		case ok:
			e.add(p)
		}
		if len(faults) == maxFaults {
			return nil, append(faults, fmt.Errorf("%s: the rest was not read", file))
		}
		if e.Len() > MaxEntries {
			return nil, fmt.Errorf("%s:%d: %w", file, n, ErrFull)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		faults = append(faults, fmt.Errorf("%s:%d: the line is longer than %d bytes: is this a list of addresses?", file, n+1, maxLine))
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	e.sort()
	if e.Len() == 0 {
		return nil, fmt.Errorf("%s: there is no address in it; to take a list away, remove it (gabion lists remove)", file)
	}
	return e, nil
}

// readLine returns the prefix of a line, false for a line without one.
func readLine(line []byte) (netip.Prefix, bool, error) {
	if i := bytes.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	text := string(bytes.TrimSpace(line))
	if text == "" {
		return netip.Prefix{}, false, nil
	}
	p, err := decision.ParsePrefix(text)
	if err != nil {
		return p, false, explain(text, err)
	}
	if p.Bits() == 0 {
		return p, false, fmt.Errorf("%s is every address: a list cannot ban the whole world", text)
	}
	return p, true, nil
}

// explain says what a line is that is no prefix.
func explain(text string, err error) error {
	const shown = 60
	quoted := fmt.Sprintf("%.*q", shown, text)
	first, last, isRange := strings.Cut(text, "-")
	_, err1 := netip.ParseAddr(strings.TrimSpace(first))
	_, err2 := netip.ParseAddr(strings.TrimSpace(last))
	switch {
	case isRange && err1 == nil && err2 == nil:
		return fmt.Errorf("%s is a range from one address to another: write it as prefixes", quoted)
	case strings.ContainsAny(text, " \t,"):
		return fmt.Errorf("%s is more than one word: give one address or prefix per line, comments after # or ;", quoted)
	case len(text) > shown:
		return fmt.Errorf("%s is neither an address nor a prefix", quoted)
	}
	return err
}
