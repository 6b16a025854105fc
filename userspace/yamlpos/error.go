// Package yamlpos decodes YAML strictly and says where in the file everything is wrong.
//
// All errors of a document come at once, each with file, line and column. Values keep their
// positions (Text, Mapping), so that whoever compiles them later can point into the file too, even
// inside a block scalar. Scalars follow YAML 1.1 as rule files expect: yes and off are booleans.
//
// The input is hostile: its size, nesting and alias expansion are bounded.
package yamlpos

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Position is a place in a file. Line and Column count from 1, columns in characters; 0 is unknown.
type Position struct {
	File         string
	Line, Column int
}

// String returns "file:line:column" without the parts that are unknown.
func (p Position) String() string {
	s := p.File
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
		if p.Column > 0 {
			s += ":" + strconv.Itoa(p.Column)
		}
	}
	return s
}

// Errorf returns an error at the position.
func (p Position) Errorf(format string, args ...any) *Error {
	return &Error{File: p.File, Line: p.Line, Column: p.Column, Msg: fmt.Sprintf(format, args...)}
}

// Error is one fault of a file.
type Error struct {
	File         string
	Line, Column int
	Msg          string
}

// Error returns "file:line:column: message".
func (e *Error) Error() string {
	return Position{e.File, e.Line, e.Column}.String() + ": " + e.Msg
}

// Errors are all faults that were found, in order of file and position after Sort.
type Errors []*Error

// Error returns one line per fault.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// Add appends the faults in err. An error that carries no position is placed at pos; nil adds nothing.
func (es *Errors) Add(pos Position, err error) {
	if err == nil {
		return
	}
	var many Errors
	var one *Error
	switch {
	case errors.As(err, &many):
		*es = append(*es, many...)
	case errors.As(err, &one):
		*es = append(*es, one)
	default:
		*es = append(*es, pos.Errorf("%v", err))
	}
}

// Err returns the faults sorted, or nil when there are none.
func (es Errors) Err() error {
	if len(es) == 0 {
		return nil
	}
	es.Sort()
	return es
}

// Sort orders the faults by file, line and column.
func (es Errors) Sort() {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
