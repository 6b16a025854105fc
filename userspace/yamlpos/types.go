package yamlpos

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Mapping receives where a mapping and its keys are, as a struct field tagged `yaml:",mapping"`.
type Mapping struct {
	pos    Position
	keys   map[string]Position
	faulty map[string]bool
}

// Pos returns where the mapping begins.
func (m Mapping) Pos() Position { return m.pos }

// Key returns where a key is written, or Pos when it is absent.
func (m Mapping) Key(name string) Position {
	if p, ok := m.keys[name]; ok {
		return p
	}
	return m.pos
}

// Has reports whether the key is written.
func (m Mapping) Has(name string) bool {
	_, ok := m.keys[name]
	return ok
}

// Faulty reports whether Decode found fault with a key already: its value is of a wrong type, or
// another key reads like a misspelling of it. Of a Mapping that was not read every key is. Whoever
// checks the decoded values further says nothing about such a key.
func (m Mapping) Faulty(name string) bool { return m.keys == nil || m.faulty[name] }

// OrderedMap is a mapping of text to text in the order of the file.
type OrderedMap []Pair

// Pair is one entry of an OrderedMap.
type Pair struct{ Key, Value Text }

// TextDecoder is a type that decodes itself from a scalar. An *Error that it returns keeps its
// position; any other error is placed at the scalar.
type TextDecoder interface {
	DecodeText(t Text) error
}

// Duration is a time.Duration in Go's syntax, with days in front: 30s, 4h, 7d, 1d12h.
type Duration time.Duration

// DecodeText implements TextDecoder.
func (d *Duration) DecodeText(t Text) error {
	v, err := ParseDuration(t.Text)
	*d = Duration(v)
	return err
}

// Std returns the duration as the standard type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the duration in Go's syntax.
func (d Duration) String() string { return time.Duration(d).String() }

// ParseDuration reads a Duration.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("invalid duration %q: write a number and a unit, such as 30s, 5m, 4h or 7d", shorten(s))
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "", s
	}
	var total time.Duration
	if days != "" {
		n, err := strconv.ParseInt(days, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/int64(24*time.Hour) {
			return 0, bad
		}
		total = time.Duration(n) * 24 * time.Hour
	}
	if rest == "" && days != "" {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || found && (days == "" || d < 0) || total > math.MaxInt64-max(d, 0) {
		return 0, bad
	}
	return total + d, nil
}
