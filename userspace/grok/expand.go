package grok

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

const (
	maxExpanded = 128 << 10 // bytes of the regular expression that an expression may grow to
	maxDepth    = 32        // references within references
)

// reference finds %{NAME} and %{NAME:field}. Any other %{…} stays literal text, as rules expect.
var reference = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`%\{(\w+)(?::(\w+))?\}`) })

// groupPrefix begins the names of the groups that an expansion makes.
const groupPrefix = "gabion_grok_"

// field is one captured name and the group that holds it.
type field struct {
	name  string
	group string
}

// expander writes the regular expression that a grok expression stands for. Every reference
// becomes a group; those with a field become named groups, so that groups of the pattern's own
// need not be counted.
type expander struct {
	set    *Set
	out    strings.Builder
	groups int
	stack  []string
}

// expand appends text and returns the fields it captures in order of first appearance. A field of
// text hides the same field from the patterns it references; between equals the last one counts.
func (x *expander) expand(text string) ([]field, error) {
	var own, nested []field
	last := 0
	for _, loc := range reference().FindAllStringSubmatchIndex(text, -1) {
		x.out.WriteString(text[last:loc[0]])
		last = loc[1]
		name, sem := text[loc[2]:loc[3]], ""
		if loc[4] >= 0 {
			sem = text[loc[4]:loc[5]]
		}
		if sem == "" {
			x.out.WriteString("(?:")
		} else {
			group := groupPrefix + strconv.Itoa(x.groups)
			x.groups++
			own = put(own, field{sem, group})
			x.out.WriteString("(?P<" + group + ">")
		}
		inner, err := x.enter(name)
		if err != nil {
			return nil, err
		}
		for _, f := range inner {
			nested = put(nested, f)
		}
		x.out.WriteByte(')')
	}
	x.out.WriteString(text[last:])
	if x.out.Len() > maxExpanded {
		return nil, fmt.Errorf("expression grows beyond %d bytes when its references are replaced: simplify it", maxExpanded)
	}
	for _, f := range own {
		nested = put(nested, f)
	}
	return nested, nil
}

// enter expands the pattern called name.
func (x *expander) enter(name string) ([]field, error) {
	text, ok := x.set.patterns[name]
	if !ok {
		return nil, &UnknownPatternError{name}
	}
	for _, open := range x.stack {
		if open == name {
			return nil, fmt.Errorf("pattern %s contains itself: %s > %s", name, strings.Join(x.stack, " > "), name)
		}
	}
	if len(x.stack) == maxDepth || x.out.Len() > maxExpanded {
		return nil, fmt.Errorf("pattern %s is nested too deeply or grows beyond %d bytes: simplify it", name, maxExpanded)
	}
	x.stack = append(x.stack, name)
	defer func() { x.stack = x.stack[:len(x.stack)-1] }()
	return x.expand(text)
}

// put adds f, or replaces the group of the field with its name.
func put(fields []field, f field) []field {
	for i := range fields {
		if fields[i].name == f.name {
			fields[i].group = f.group
			return fields
		}
	}
	return append(fields, f)
}
