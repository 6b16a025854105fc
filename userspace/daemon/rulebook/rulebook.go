// Package rulebook loads what a daemon judges by: the rules of all folders and the profiles.
package rulebook

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gabion/scenarios"
	"gabion/userspace/bucket"
	"gabion/userspace/config"
	"gabion/userspace/dns"
	"gabion/userspace/enrich"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/geo"
	"gabion/userspace/grok"
	"gabion/userspace/hub"
	"gabion/userspace/meter"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

// dataDir is the folder of the state directory in which rules' data files lie.
const dataDir = "data"

// Book is a compiled set of rules with the profiles that go with it. It never changes.
type Book struct {
	Rules    *rules.Set
	Meters   []*meter.Meter // those of the rules, with what the configuration changes
	Profiles *profile.Profiles
	Compiler *expr.Compiler // that compiled them
	Faults   yamlpos.Errors // of what was left out
}

// Deps are what rules may ask while they run.
type Deps struct {
	History exprlib.History // nil: nobody was banned before
	InForce exprlib.InForce // nil: no decision is in force
	DNS     *dns.Resolver   // nil: no names are looked up
	CTI     exprlib.Reputation
	HTTP    func(*http.Request) (*http.Response, error) // nil: rules make no requests
	Now     func() time.Time
	Log     *slog.Logger

	// Sources are read instead of the folders of the configuration, when there are some.
	Sources []rules.Source
	DataDir string // of data files, instead of that in the state directory; "" means that one
}

// Load compiles all rules and profiles of a configuration. It fails only when nothing can be
// used; the result then holds what there is.
func Load(cfg *config.Config, deps Deps) (*Book, error) {
	if deps.DataDir == "" {
		deps.DataDir = filepath.Join(cfg.StateDir, dataDir)
	}
	databases, err := geo.Open(deps.DataDir)
	if err != nil {
		deps.Log.Warn("address database not used", "err", err)
	}
	lib := exprlib.New(exprlib.Deps{
		DataDir: deps.DataDir, History: deps.History, InForce: deps.InForce, Geo: databases, DNS: deps.DNS, CTI: deps.CTI, HTTP: deps.HTTP,
		Log: deps.Log, Now: deps.Now,
	})
	compiler := expr.NewCompiler(lib.Functions()...)
	b := &Book{Compiler: compiler}
	sources := deps.Sources
	if len(sources) == 0 {
		sources, err = ruleSources(cfg)
		b.Faults.Add(yamlpos.Position{}, err)
	}
	b.Rules, err = rules.Load(sources, rules.Deps{
		Expr: compiler, Lib: lib, Patterns: grok.NewSet(), Simulated: cfg.Simulation.Covers, Log: deps.Log,
		Methods: enrich.Methods(enrich.Deps{Now: deps.Now, DNS: deps.DNS, Geo: databases, Log: deps.Log}),
	})
	b.Faults.Add(yamlpos.Position{}, err)
	b.Faults.Add(yamlpos.Position{}, checkSimulation(cfg, b.Rules.Scenarios))
	b.Meters, err = limited(b.Rules.Meters, cfg)
	b.Faults.Add(yamlpos.Position{}, err)
	b.Profiles, err = loadProfiles(cfg.Profiles, compiler)
	b.Faults.Add(yamlpos.Position{File: cfg.Profiles}, err)
	b.Faults.Sort()
	if b.Profiles == nil || b.Profiles.Len() == 0 {
		return b, errors.Join(errors.New("no profile can be used, so nothing would be banned"), b.Faults.Err())
	}
	if len(b.Rules.Scenarios) == 0 {
		return b, errors.Join(errors.New("no scenario can be used, so nothing would be detected"), b.Faults.Err())
	}
	return b, nil
}

// ruleSources returns the folders of rules, those shipped first, so that one's own replace them. A
// folder that is only a default may be missing.
func ruleSources(cfg *config.Config) ([]rules.Source, error) {
	var out []rules.Source
	if cfg.Rules.Embedded {
		out = append(out, rules.Source{Name: "embedded", FS: scenarios.FS()})
	}
	var errs yamlpos.Errors
	for _, dir := range cfg.Rules.Dirs {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && slices.Contains(config.Default().Rules.Dirs, dir):
		case errors.Is(err, fs.ErrNotExist):
			errs.Add(place(cfg, dir), fmt.Errorf("there is no directory of rules %s: make it, or do not name it", dir))
		case err != nil:
			errs.Add(place(cfg, dir), fmt.Errorf("read rules: %w", err))
		case !info.IsDir():
			errs.Add(place(cfg, dir), fmt.Errorf("read rules: %s is not a directory", dir))
		default:
			source, err := hub.OpenRules(dir)
			if err != nil {
				errs.Add(place(cfg, dir), err)
				continue
			}
			out = append(out, source)
		}
	}
	return out, errs.Err()
}

// place is where a folder of rules is named: in the file, or on the command line.
func place(cfg *config.Config, dir string) yamlpos.Position {
	if cfg.File == "" {
		return yamlpos.Position{File: dir}
	}
	return cfg.Keys.Key("rules")
}

// loadProfiles compiles the profiles file, or the built-in profiles without one.
func loadProfiles(path string, c *expr.Compiler) (*profile.Profiles, error) {
	name, data := "built-in profiles", profile.Default()
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("read profiles: %w", err)
		}
		name = path
	}
	docs, parseErr := yamlpos.Parse(name, data)
	p, err := profile.Compile(docs, c)
	return p, errors.Join(parseErr, err)
}

// checkSimulation says which of the scenarios that the configuration names there are not. A name
// with a slip in it would enforce what was meant to be tried.
func checkSimulation(cfg *config.Config, scenarios []*bucket.Scenario) error {
	var errs yamlpos.Errors
	for _, name := range slices.Concat(cfg.Simulation.Scenarios, cfg.Simulation.Except) {
		if !slices.ContainsFunc(scenarios, func(s *bucket.Scenario) bool { return s.Name == name }) {
			errs = append(errs, cfg.Keys.Key("simulation").Errorf("simulation names the scenario %s, which is not among the rules: gabion rules list shows those that are", name))
		}
	}
	return errs.Err()
}

// ConnectionRate is the meter whose numbers kernel.connection_limit replaces.
const ConnectionRate = "gabion/connection-rate"

// limited returns the meters with the configuration's connection limit. The meters themselves are
// immutable: the one that changes is copied.
func limited(all []*meter.Meter, cfg *config.Config) ([]*meter.Meter, error) {
	limit := cfg.Kernel.ConnectionLimit
	if limit == nil {
		return all, nil
	}
	i := slices.IndexFunc(all, func(m *meter.Meter) bool { return m.Name == ConnectionRate })
	if i < 0 {
		return all, cfg.Keys.Key("kernel").Errorf("kernel.connection_limit changes the meter %s, which is not among the rules: take the key out, or load the meter", ConnectionRate)
	}
	if limit.At.Has("count") && limit.Count == 0 {
		return slices.Concat(all[:i], all[i+1:]), nil
	}
	m := *all[i]
	if limit.At.Has("count") {
		m.Limit = uint64(limit.Count)
	}
	if limit.At.Has("window") {
		m.Window = limit.Window.Std()
	}
	out := slices.Clone(all)
	out[i] = &m
	return out, nil
}
