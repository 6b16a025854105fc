package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"gabion/scenarios"
	"gabion/userspace/enrich"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/lint"
	"gabion/userspace/rules"
)

// lintFlags are the flags of gabion rules lint.
type lintFlags struct {
	with          []string
	strict, hints bool
}

func newRulesLint(a *app) *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use:   "lint PATH...",
		Short: "Find what is wrong with rules and what looks wrong, with file, line and column",
		Long: `Find what is wrong with rules and what looks wrong. A path is a rule file or a folder of
them, such as a checkout of a hub.

error    the rule does not load, or can never do anything: a filter that is never true, a
         pattern that matches nothing, a bucket that cannot overflow
warning  almost surely not what is meant: a field that no rule sets, a pattern behind one
         that takes everything, a data file that nobody declares
hint     worth a look; printed with --hints

Whether a field is set can only be told with the parsers at hand: name them with --with when
they are not among the paths. The rules built in are always there.

The exit code is 1 when there are errors, with --strict also when there are warnings.`,
		Example: `  gabion rules lint ./my-rules
  gabion rules lint --with /etc/gabion/rules my-scenario.yaml
  gabion rules lint --strict --hints ./hub/scenarios/me -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name at least one rule file or folder of rules")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.lint(&f, args) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.with, "with", nil, "rules that the paths run with, not looked at themselves; may be given again")
	flags.BoolVar(&f.strict, "strict", false, "fail on warnings too")
	flags.BoolVar(&f.hints, "hints", false, "print hints too")
	jsonFlag(a, cmd)
	return cmd
}

func (a *app) lint(f *lintFlags, paths []string) error {
	log := slog.New(slog.DiscardHandler)
	lib := exprlib.New(exprlib.Deps{Log: log, Now: a.now})
	config := lint.Config{
		Context: []rules.Source{{Name: "embedded", FS: scenarios.FS()}},
		Deps: rules.Deps{
			Expr: expr.NewCompiler(lib.Functions()...), Lib: lib, Patterns: grok.NewSet(),
			Methods: enrich.Methods(enrich.Deps{Now: a.now}), Now: a.now, Log: log,
		},
	}
	for to, list := range map[*[]rules.Source][]string{&config.Sources: paths, &config.Context: f.with} {
		for _, path := range list {
			source, err := ruleSource(path)
			if err != nil {
				return err
			}
			*to = append(*to, source)
		}
	}
	report := lint.Run(config)
	if err := a.show(report, func(w io.Writer) error { return printLint(w, report, f.hints) }); err != nil {
		return err
	}
	if report.Errors > 0 || f.strict && report.Warnings > 0 {
		return errReported
	}
	return nil
}

func printLint(w io.Writer, r *lint.Report, hints bool) error {
	for _, f := range r.Findings {
		if f.Severity == lint.Hint && !hints {
			continue
		}
		text := fmt.Sprintf("%s: %s: %s", f.Pos(), f.Severity, f.Message)
		if f.Suggestion != "" {
			text += ": " + f.Suggestion
		}
		if _, err := fmt.Fprintf(w, "%s [%s]\n", printable(text, oneLine), f.Check); err != nil {
			return err
		}
	}
	parts := []string{plural(r.Errors, "error"), plural(r.Warnings, "warning"), plural(r.Hints, "hint")}
	if r.Hints > 0 && !hints {
		parts[2] += " (--hints prints them)"
	}
	_, err := fmt.Fprintf(w, "%s: %s.\n", plural(r.Documents, "document"), strings.Join(parts, ", "))
	return err
}
