package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"time"

	"gabion/userspace/config"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/daemon/service"
	"gabion/userspace/sockets"
	"gabion/userspace/yamlpos"
)

// runReloads owns the configuration in force: it replaces rules, profiles, allowlist, interfaces and
// meters at each hangup, and has bans close connections or not. It ends with ctx.
func (d *Daemon) runReloads(ctx context.Context, hangup <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
		}
		service.Reloading(d.log)
		err := d.reload()
		d.health.Report("reload", err)
		service.Ready(d.log)
	}
}

// reload takes everything new or nothing: with any fault the old rules go on.
func (d *Daemon) reload() error {
	old := d.config.Load()
	cfg, err := d.load()
	if err != nil {
		return d.keepOld(err)
	}
	book, err := rulebook.Load(cfg, d.asked.deps())
	if err == nil {
		err = book.Faults.Err()
	}
	if err != nil {
		return d.keepOld(err)
	}
	d.engine.Swap(book.Rules, book.Profiles)
	d.book.Store(book)
	d.config.Store(cfg)
	d.health.Report("rules", nil)
	at := d.now()
	d.reloaded.Store(&at)
	err = d.applyAllow(old.Allowed(), cfg.Allowed())
	if d.plane != nil {
		d.setMeters()
		d.switchClosing(cfg.Kernel.CloseConnections, sockets.Probe)
	}
	for _, key := range needRestart(old, cfg) {
		d.log.Warn("setting takes effect after a restart", "key", key)
	}
	d.log.Info("reloaded", "scenarios", len(book.Rules.Scenarios), "profiles", book.Profiles.Len())
	return err
}

// keepOld logs every fault with its place and says what goes on.
func (d *Daemon) keepOld(err error) error {
	var faults yamlpos.Errors
	if errors.As(err, &faults) {
		for _, f := range faults {
			d.log.Error("not reloaded", "err", f)
		}
	}
	if len(faults) > 1 {
		err = fmt.Errorf("%w, and %d more", faults[0], len(faults)-1)
	}
	return fmt.Errorf("the old rules go on, for the new ones have faults: %w", err)
}

// applyAllow changes the configuration's part of the allowlist. What `gabion allow add` put there
// as well stays until it is removed there too.
func (d *Daemon) applyAllow(old, now []netip.Prefix) error {
	var gone []netip.Prefix
	added := d.recordedAllows()
	for _, p := range old {
		if !slices.Contains(now, p) && !slices.Contains(added, p) {
			gone = append(gone, p)
		}
	}
	return errors.Join(d.enforcer.Allow(now, time.Time{}), d.enforcer.Disallow(gone))
}

func (d *Daemon) recordedAllows() []netip.Prefix {
	st, err := d.record.Get()
	if err != nil {
		return nil
	}
	list, err := st.Allows(context.Background())
	if err != nil {
		d.log.Warn("recorded allowlist not read", "err", err)
	}
	var out []netip.Prefix
	for _, a := range list {
		out = append(out, a.Prefix)
	}
	return out
}

// needRestart names the settings that differ and cannot be changed in a running daemon.
func needRestart(old, now *config.Config) []string {
	var keys []string
	for key, same := range map[string]bool{
		"state_dir":                   old.StateDir == now.StateDir,
		"sources":                     sameSources(old, now),
		"guard":                       slices.Equal(old.Peers(), now.Peers()),
		"api":                         old.API.Socket == now.API.Socket && old.API.Listen.Text == now.API.Listen.Text,
		"cti":                         old.CTI == now.CTI,
		"kernel.pin_dir":              old.Kernel.PinDir == now.Kernel.PinDir,
		"kernel.mode":                 old.Kernel.Mode == now.Kernel.Mode,
		"kernel.max_bans, max_allows": old.Kernel.MaxBans == now.Kernel.MaxBans && old.Kernel.MaxAllows == now.Kernel.MaxAllows,
		"engine":                      old.Engine == now.Engine,
		"log":                         old.Log == now.Log,
	} {
		if !same {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// sameSources compares the keys of the sources' entries and what is in them.
func sameSources(old, now *config.Config) bool {
	return slices.EqualFunc(old.Sources, now.Sources, func(a, b *yamlpos.Document) bool {
		var x, y map[string]any
		return a.Decode(&x) == nil && b.Decode(&y) == nil && reflect.DeepEqual(x, y)
	})
}
