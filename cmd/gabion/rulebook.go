package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gabion/userspace/config"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/hub"
	"gabion/userspace/rules"
)

// ruleFlags are the flags of the verbs that run logs through rules.
type ruleFlags struct {
	kind     string
	labels   []string
	dirs     []string
	profiles string
	data     string
}

// register gives a verb all of the flags.
func (f *ruleFlags) register(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.kind, "type", "t", "", "type of the log: syslog, nginx, ...")
	flags.StringArrayVar(&f.labels, "label", nil, "further label of the lines, as name=value; may be given again")
	flags.StringVar(&f.profiles, "profiles", "", "profiles file (default that of the daemon)")
	flags.StringVar(&f.data, "data", "", "folder of the rules' data files (default that of the daemon)")
	f.registerRules(a, cmd)
}

// registerRules gives a verb the flags that say which rules.
func (f *ruleFlags) registerRules(a *app, cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.dirs, "rules", nil, "folder or file of parsers and scenarios, or a checkout of a hub; may be given again (default those of the daemon)")
	jsonFlag(a, cmd)
}

// jsonFlag gives a verb the flag --json.
func jsonFlag(a *app, cmd *cobra.Command) {
	cmd.Flags().BoolFunc("json", "print JSON (same as -o json)", func(string) error {
		a.output = outputJSON
		return nil
	})
}

// load compiles the rules and returns them with the labels of the log. What is left out of them is
// named on standard error.
func (f *ruleFlags) load(a *app, log *slog.Logger) (*rulebook.Book, map[string]string, error) {
	if f.kind == "" {
		return nil, nil, usagef("--type is missing: say what the log is, such as --type syslog or --type nginx")
	}
	labels := map[string]string{}
	for _, l := range f.labels {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			return nil, nil, usagef("label %q: write it as name=value", l)
		}
		labels[name] = value
	}
	labels["type"] = f.kind
	book, err := f.book(a, log)
	return book, labels, err
}

// book compiles the rules.
func (f *ruleFlags) book(a *app, log *slog.Logger) (*rulebook.Book, error) {
	cfg, err := f.configuration(a)
	if err != nil {
		return nil, err
	}
	deps := rulebook.Deps{Now: a.now, Log: log, DataDir: f.data}
	for _, dir := range f.dirs {
		source, err := ruleSource(dir)
		if err != nil {
			return nil, err
		}
		deps.Sources = append(deps.Sources, source)
	}
	book, err := rulebook.Load(cfg, deps)
	onlyParsers := len(book.Rules.Items) > 0 && len(book.Rules.Scenarios) == 0 && book.Profiles != nil && book.Profiles.Len() > 0
	if err != nil && !onlyParsers { // which a daemon has no use for, but whoever writes them has
		return nil, err
	}
	for _, fault := range book.Faults {
		fmt.Fprintln(a.stderr, printable(fault.Error(), oneLine)+" (left out)")
	}
	return book, nil
}

// ruleSource returns a rule file, a folder of rules or a checkout of a hub as a source.
func ruleSource(path string) (rules.Source, error) {
	if info, err := os.Stat(filepath.Join(path, "collections")); err == nil && info.IsDir() {
		return hub.OpenRules(path)
	}
	return rules.At(path)
}

// configuration is the daemon's, with the profiles that the flags name.
func (f *ruleFlags) configuration(a *app) (*config.Config, error) {
	cfg, err := config.Load(a.config)
	if err != nil {
		return nil, err
	}
	if f.profiles != "" {
		cfg.Profiles = f.profiles
	}
	return cfg, nil
}
