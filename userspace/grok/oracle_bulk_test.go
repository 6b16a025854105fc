package grok

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"time"

	"gabion/userspace/yamlpos"
)

// tally counts what was compared.
type tally struct {
	expressions, pairs, hits, differences int
	ours, theirs                          time.Duration
}

// compare matches lines made for expr, and a part of the lines given, with it and with the standard
// library's regexp.
func (c *tally) compare(t *testing.T, s *Set, expr string, made *lineMaker, rounds int, given ...string) {
	t.Helper()
	p, err := s.Compile(expr)
	if err != nil {
		t.Errorf("compile %q: %v", expr, err)
		return
	}
	expanded, fields, err := s.expand(expr)
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(expanded)
	tree := mustParse(t, expanded)
	groups := make([]int, len(fields))
	for i, f := range fields {
		groups[i] = re.SubexpIndex(f.group)
	}
	c.expressions++
	var m Match
	check := func(text string) {
		c.pairs++
		start := time.Now()
		ok := p.Match(text, &m)
		middle := time.Now()
		loc := re.FindStringSubmatchIndex(text)
		c.ours, c.theirs = c.ours+middle.Sub(start), c.theirs+time.Since(middle)
		if loc != nil && len(groups) > 0 {
			c.hits++
		}
		if !same(&m, ok, loc, groups) {
			c.differences++
			t.Errorf("%q on %q: match = %v, want %v", expr, text, ok, loc)
		}
	}
	for range rounds {
		line := made.matching(tree)
		for _, text := range []string{line, made.mutated(line), made.mutated("x " + line + " y"), made.noise()} {
			check(text)
		}
	}
	for _, line := range given {
		check(line)
		check(made.mutated(line))
	}
}

func mustParse(t *testing.T, expr string) *syntax.Regexp {
	t.Helper()
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// same says whether m, when ok, has what loc has of groups.
func same(m *Match, ok bool, loc, groups []int) bool {
	if ok != (loc != nil && len(groups) > 0) {
		return false
	}
	for i, g := range groups {
		if ok {
			start, end := m.Span(i)
			if start != loc[2*g] || end != loc[2*g+1] {
				return false
			}
		}
	}
	return true
}

func (c *tally) log(t *testing.T) {
	t.Helper()
	t.Logf("%d expressions, %d pairs, %d matches, %d differences; %v against %v of the standard library a pair",
		c.expressions, c.pairs, c.hits, c.differences, c.ours/time.Duration(c.pairs), c.theirs/time.Duration(c.pairs))
	if c.hits == 0 {
		t.Error("nothing ever matched: the comparison says nothing")
	}
}

func TestStockPatternsMatchAsInTheStandardLibrary(t *testing.T) {
	s, c, services := NewSet(), tally{}, serviceLines(t)
	lines := &lineMaker{r: rand.New(rand.NewPCG(4, 1))}
	for _, name := range slices.Sorted(maps.Keys(stock())) {
		given := append(strings.Split(examples[name].yes, "||"), strings.Split(examples[name].no, "||")...)
		if line, ok := services[name]; ok {
			given = []string{line, line + " " + line}
		}
		for _, expr := range []string{"%{" + name + ":whole}", "%{" + name + "} %{DATA:rest} %{" + name + ":last}", "(?:%{" + name + ":a}|%{WORD:b})$"} {
			c.compare(t, s, expr, lines, 10, given...)
		}
	}
	c.log(t)
}

func TestCommonRulesMatchAsInTheStandardLibrary(t *testing.T) {
	s, c := NewSet(), tally{}
	lines := &lineMaker{r: rand.New(rand.NewPCG(4, 2))}
	for _, b := range benchmarks {
		c.compare(t, s, b.expr, lines, 50)
	}
	c.log(t)
}

// hubNode is what the comparison needs of a parser's node.
type hubNode struct {
	PatternSyntax yamlpos.OrderedMap `yaml:"pattern_syntax"`
	Grok          struct {
		Name    string `yaml:"name"`
		Pattern string `yaml:"pattern"`
	} `yaml:"grok"`
	Nodes []hubNode `yaml:"nodes"`
}

// expressions adds the patterns of n to s and returns the expressions of it and the nodes below.
func (n *hubNode) expressions(s *Set) []string {
	for _, pair := range n.PatternSyntax {
		_ = s.Add(pair.Key.Text, pair.Value.Text) // defined twice: the first one counts
	}
	var out []string
	switch {
	case n.Grok.Name != "":
		out = append(out, s.Text(n.Grok.Name))
	case n.Grok.Pattern != "":
		out = append(out, n.Grok.Pattern)
	}
	for i := range n.Nodes {
		out = append(out, n.Nodes[i].expressions(s)...)
	}
	return out
}

// TestHubRulesMatchAsInTheStandardLibrary reads the parsers and post-overflows of the hub checkout
// at GABION_HUB, and tries their patterns also on the lines of the log GABION_HUB_LOG, if there is one.
func TestHubRulesMatchAsInTheStandardLibrary(t *testing.T) {
	dir := os.Getenv("GABION_HUB")
	if dir == "" {
		t.Skip("SKIPPED: set GABION_HUB to a checkout of the hub to compare all of its patterns")
	}
	var given []string
	if log := os.Getenv("GABION_HUB_LOG"); log != "" {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		given = strings.Split(string(text), "\n")
	}
	s, c := NewSet(), tally{}
	lines := &lineMaker{r: rand.New(rand.NewPCG(4, 3))}
	for _, sub := range []string{"parsers", "postoverflows"} {
		for _, file := range mustFindRules(t, filepath.Join(dir, sub)) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs, err := yamlpos.Parse(file, text)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range docs {
				var n hubNode
				_ = doc.Decode(&n) // complains about every key that is left out here
				for _, expr := range n.expressions(s) {
					c.compare(t, s, expr, lines, 20, given...)
				}
			}
		}
	}
	c.log(t)
}

func mustFindRules(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
