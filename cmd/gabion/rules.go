package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"gabion/userspace/config"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/rules"
)

func newRulesCommand(a *app) *cobra.Command {
	return group("rules", "Parsers, scenarios and meters: list, check, bench", "  gabion rules list", newRulesList(a), newRulesCheck(a), newRulesLint(a), newRulesInspect(a), newRulesBench(a))
}

type ruleItem struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Stage string `json:"stage,omitempty"`
	File  string `json:"file"`

	Simulated bool `json:"simulated,omitempty"` // its decisions are counted, not enforced
}

func newRulesList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the rules that the daemon would load",
		Example: "  gabion rules list -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := config.Load(a.config)
			if err != nil {
				return err
			}
			book, err := rulebook.Load(cfg, rulebook.Deps{Now: a.now, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				return err
			}
			items := []ruleItem{}
			var rows [][]string
			for _, i := range book.Rules.Items {
				item := ruleItem{Kind: string(i.Kind), Name: i.Name, Stage: i.Stage, File: i.Pos.File}
				kind := item.Kind
				if item.Simulated = i.Kind == rules.Scenario && cfg.Simulation.Covers(i.Name); item.Simulated {
					kind += " (simulated)"
				}
				items = append(items, item)
				rows = append(rows, []string{kind, i.Name, orText(i.Stage, "-"), i.Pos.File})
			}
			err = a.show(items, func(w io.Writer) error {
				return table(w, "No rules.", []string{"KIND", "NAME", "STAGE", "FILE"}, rows)
			})
			if err == nil && len(book.Faults) > 0 {
				err = fmt.Errorf("some rules are left out:\n%w", book.Faults)
			}
			return err
		},
	}
}

func newRulesCheck(a *app) *cobra.Command {
	var embedded bool
	cmd := &cobra.Command{
		Use:   "check FOLDER...",
		Short: "Compile folders of rules and print every fault with file, line and column",
		Example: `  gabion rules check /etc/gabion/rules
  gabion rules check --embedded ./my-rules    together with those built in`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name at least one folder of rules")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cfg := config.Default()
			cfg.Rules = config.Rules{Embedded: embedded, Dirs: args}
			book, err := rulebook.Load(cfg, rulebook.Deps{Now: a.now, Log: slog.New(slog.DiscardHandler)})
			if len(book.Faults) > 0 {
				return book.Faults
			}
			if err != nil && len(book.Rules.Items) == 0 {
				return err // a folder of parsers alone is fine
			}
			n := len(book.Rules.Items)
			return a.show(map[string]int{"rules": n}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s: no errors.\n", plural(n, "rule"))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&embedded, "embedded", false, "compile them together with the rules built in")
	return cmd
}
