package daemon

import (
	"os"

	"gabion/userspace/client"
)

// Status implements api.Backend.
func (b backend) Status() client.Status {
	cfg, book := b.config.Load(), b.book.Load()
	enforced := b.enforcer.Stats()
	out := client.Status{
		Version: b.version, PID: os.Getpid(), StartedAt: b.started.UTC(), ReloadedAt: b.reloaded.Load().UTC(),
		StateDir: cfg.StateDir, Config: cfg.File,
		Interfaces: []client.InterfaceStatus{}, Sources: []client.SourceStatus{},
		Rules:     client.RulesStatus{Scenarios: len(book.Rules.Scenarios), Errors: len(book.Faults)},
		Meters:    b.meterStatus(),
		Decisions: enforced.Active,
		Drift: client.DriftStatus{
			CheckedAt: enforced.Reconciled.UTC(), Missing: enforced.Drift.Missing, Extra: enforced.Drift.Extra,
			Wrong: enforced.Drift.Wrong, Adopted: len(enforced.Drift.Adopted), Error: b.drift.problem(),
		},
		Problems: b.health.List(),
	}
	if b.links != nil {
		out.PinDir = cfg.Kernel.PinDir
		out.Interfaces = b.links.Status()
	}
	for _, l := range enforced.Lists {
		out.Lists = append(out.Lists, listOf(l))
	}
	for _, in := range b.inputs {
		out.Sources = append(out.Sources, in.Status())
	}
	return out
}

func (c *driftCount) problem() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return ""
	}
	return c.err.Error()
}
