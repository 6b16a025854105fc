package daemon

import (
	"log/slog"
	"time"

	"gabion/userspace/config"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/yamlpos"
)

// Summary counts what a configuration loads.
type Summary struct {
	Sources   int `json:"sources"`
	Scenarios int `json:"scenarios"`
	Meters    int `json:"meters"`
	Profiles  int `json:"profiles"`
}

// Check loads what a daemon with this configuration would load, and returns every fault of rules,
// profiles and sources at once.
func Check(cfg *config.Config, log *slog.Logger, now func() time.Time) (Summary, error) {
	book, err := rulebook.Load(cfg, rulebook.Deps{Now: now, Log: log})
	var errs yamlpos.Errors
	if err == nil {
		errs.Add(yamlpos.Position{}, book.Faults.Err())
	} else {
		errs.Add(yamlpos.Position{}, err)
	}
	n, err := checkSources(cfg)
	errs.Add(yamlpos.Position{}, err)
	s := Summary{Sources: n, Scenarios: len(book.Rules.Scenarios), Meters: len(book.Meters)}
	if book.Profiles != nil {
		s.Profiles = book.Profiles.Len()
	}
	return s, errs.Err()
}
