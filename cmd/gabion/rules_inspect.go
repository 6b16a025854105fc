package main

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gabion/userspace/inspect"
	"gabion/userspace/rules"
)

func newRulesInspect(a *app) *cobra.Command {
	var f ruleFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "inspect [NAME]",
		Short: "Say how rules are run: filters by index, compiled or interpreted; how patterns match",
		Long: `Say how rules are run, all of them or the one of a name.

A filter that compares a field with constants is indexed: events with another value never
reach it. Words of which one must occur are looked for in one pass for all filters, and who
lacks them is not evaluated either. Expressions are compiled; what the compiler does not know is left to a virtual
machine, which is slower, and the construct that is to blame is named.

Patterns match one-pass, when the next byte always decides; backtracking, when alternatives
are tried within a budget; memoised, when they are so involved that all is noted. A text that
lacks the literals of a pattern is not tried at all.`,
		Example: `  gabion rules inspect
  gabion rules inspect gabion/sshd
  gabion rules inspect --rules ./hub --all -o json`,
		Args: maxOneArg("the name of a rule"),
		RunE: func(_ *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return a.inspect(&f, name, all)
		},
	}
	f.registerRules(a, cmd)
	cmd.Flags().BoolVarP(&all, "all", "a", false, "list every filter and pattern")
	return cmd
}

func (a *app) inspect(f *ruleFlags, name string, all bool) error {
	book, err := f.book(a, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	report := inspect.Look(book.Rules, name)
	if name != "" && len(report.Rules) == 0 {
		return fmt.Errorf("no parser or scenario is called %s: see 'gabion rules list'", name)
	}
	return a.show(report, func(w io.Writer) error {
		for _, r := range report.Rules {
			if name != "" || all {
				printInspected(w, r)
			}
		}
		if name != "" {
			return nil
		}
		return printInspection(w, report)
	})
}

// printInspected prints how one rule is run.
func printInspected(w io.Writer, r *inspect.Rule) {
	fmt.Fprintf(w, "%s %s (%s)\n", r.Kind, printable(r.Name, oneLine), printable(r.At, oneLine))
	for _, e := range r.Expressions {
		how := "compiled"
		if !e.Compiled {
			how = "left to the virtual machine, because of " + e.Because
		}
		if e.WholeQueue {
			how += ", over the whole queue with each event"
		}
		if len(e.Index) > 0 {
			how += ", asked only where " + strings.Join(e.Index, " and ")
		}
		if len(e.Words) > 0 {
			how += ", asked only with " + strings.Join(e.Words, " or ")
		}
		fmt.Fprintf(w, "  %s: %s\n", e.Key, printable(how, oneLine))
		fmt.Fprintf(w, "    %s\n", printable(strings.Join(strings.Fields(e.Source), " "), oneLine))
	}
	for _, p := range r.Patterns {
		fmt.Fprintf(w, "  pattern: %s\n    %s\n", printable(patternText(p), oneLine), printable(p.Source, oneLine))
	}
	fmt.Fprintln(w)
}

// patternText says how a pattern matches.
func patternText(p inspect.Pattern) string {
	text := p.How
	if p.Anchored {
		text += ", at the beginning only"
	}
	if len(p.Literals) > 0 {
		var quoted []string
		for _, l := range p.Literals {
			quoted = append(quoted, strconv.Quote(l))
		}
		text += ", where the text holds " + strings.Join(quoted, ", ")
	}
	return text + ", " + plural(p.Fields, "field")
}

// printInspection prints the summary and what is left to the virtual machine.
func printInspection(w io.Writer, r *inspect.Report) error {
	s := r.Summary
	var kinds []string
	for _, k := range []rules.Kind{rules.Parser, rules.PostOverflow, rules.Scenario} {
		kinds = append(kinds, plural(s.Rules[k], string(k)))
	}
	fmt.Fprintf(w, "%s\n\n", strings.Join(kinds, ", "))
	counts := func(name string, c inspect.Counts) []string {
		return []string{name, strconv.Itoa(c.All), strconv.Itoa(c.Indexed), strconv.Itoa(c.Searched), strconv.Itoa(c.Compiled), strconv.Itoa(c.Interpreted)}
	}
	if err := table(w, "", []string{"EXPRESSIONS", "ALL", "BY VALUE", "BY WORDS", "COMPILED", "LEFT TO VM"},
		[][]string{counts("filters", s.Filters), counts("others", s.Others)}); err != nil {
		return err
	}
	p := s.Patterns
	fmt.Fprintf(w, "\n%s: %d one-pass, %d backtracking, %d memoised; %d at the beginning only, %d only where the text holds their literals\n",
		plural(p.All, "pattern"), p.OnePass, p.Backtracking, p.Memoised, p.Anchored, p.Literal)
	if len(s.Left) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, construct := range slices.Sorted(maps.Keys(s.Left)) {
		for _, rule := range r.Rules {
			for _, e := range rule.Expressions {
				if !e.Compiled && e.Because == construct {
					rows = append(rows, []string{construct, rule.Name, e.Key, e.At})
				}
			}
		}
	}
	return table(w, "", []string{"LEFT BECAUSE OF", "RULE", "KEY", "AT"}, rows)
}
