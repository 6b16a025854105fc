package grok

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/grok/match"
)

func TestIndexNeverLeavesOutAPatternThatMatches(t *testing.T) {
	s := NewSet()
	var patterns []*Pattern
	var trees []string
	for _, name := range slices.Sorted(maps.Keys(stock())) {
		p, err := s.Compile("%{" + name + ":whole}")
		if err != nil {
			t.Fatal(err)
		}
		patterns, trees = append(patterns, p), append(trees, name)
	}
	lines := &lineMaker{r: rand.New(rand.NewPCG(4, 4))}
	var m Match
	matches, spared := 0, 0
	for len(patterns) > 0 {
		some := patterns[:min(70, len(patterns))]
		x := NewIndex(some)
		for _, name := range trees[:len(some)] {
			expanded, _, err := s.expand("%{" + name + ":whole}")
			if err != nil {
				t.Fatal(err)
			}
			text := lines.matching(mustParse(t, expanded))
			found := x.Candidates(text)
			for i, p := range some {
				switch ok := p.Match(text, &m); {
				case ok && !found.Has(i):
					t.Errorf("%q matches %s, which the index leaves out", text, trees[i])
				case ok:
					matches++
				case !found.Has(i):
					spared++
				}
			}
		}
		patterns, trees = patterns[len(some):], trees[len(some):]
	}
	t.Logf("%d matches, %d misses seen by the index", matches, spared)
	if matches == 0 || spared == 0 {
		t.Error("the index had nothing to say")
	}
}

func TestInfo(t *testing.T) {
	for _, tt := range []struct {
		name, expr string
		want       match.Info
	}{
		{"the next byte decides", `^from %{IP:ip} port %{INT:port}$`, match.Info{Literals: []string{"from ", " port "}, Anchored: true, OnePass: true, Automata: 2}},
		{"text that may go on is tried again", `%{DATA:a} by %{USER:u} from`, match.Info{Literals: []string{" by ", " from"}}},
		{"a repeated nothing is matched with notes", `(?:%{DATA:a})*x`, match.Info{Literals: []string{"x"}, Exact: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewSet().Compile(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			got := p.Info()
			got.Nodes = 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("info (-want +got):\n%s", diff)
			}
		})
	}
}

// BenchmarkSiblings tries the sixteen patterns of a parser on a line that only the last one matches.
func BenchmarkSiblings(b *testing.B) {
	s := NewSet()
	var patterns []*Pattern
	for _, expr := range []string{
		`%{SSHD_FAIL}`, `%{SSHD_USER_FAIL}`, `%{SSHD_DISC_PREAUTH}`, `%{SSHD_BAD_VERSION}`, `%{SSHD_MAXE_PREAUTH}`, `%{SSHD_REST_PREAUTH}`, `%{SSHD_CLOS_PREAUTH}`, `%{SSHD_FAIL_PREAUTH}`,
		`%{SSHD_FAI2_PREAUTH}`, `%{SSHD_BADL_PREAUTH}`, `%{SSHD_MAPB_FAIL}`, `%{SSHD_RMAP_FAIL}`, `%{SSHD_TOOMANY_AUTH}`, `%{SSHD_REFUSE_CONN}`, `%{SSHD_TCPWRAP_FAIL2}`, `%{SSHD_INVAL_USER}`,
	} {
		p, err := s.Compile(expr)
		if err != nil {
			b.Fatal(err)
		}
		patterns = append(patterns, p)
	}
	const line = "Invalid user admin from 192.0.2.77"
	x := NewIndex(patterns)
	var m Match
	b.Run("each", func(b *testing.B) {
		for b.Loop() {
			for _, p := range patterns {
				p.Match(line, &m)
			}
		}
	})
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			found := x.Candidates(line)
			for i, p := range patterns {
				if found.Has(i) {
					p.Match(line, &m)
				}
			}
		}
	})
}
