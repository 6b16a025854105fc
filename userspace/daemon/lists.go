package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gabion/userspace/api"
	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/enforce"
	"gabion/userspace/lists"
)

// listsDir is the directory of the imported lists in the state directory.
const listsDir = "lists"

// imports is the imported lists as they are kept on disk. Changes of lists come one after the other.
type imports struct {
	mu     sync.Mutex
	dir    *lists.Dir       // nil until it could be read
	broken map[string]error // lists that are kept and could not be put in force
}

// open reads what lists there are; what failed before is tried again. The caller holds mu.
func (i *imports) open(stateDir string) (*lists.Dir, error) {
	if i.dir == nil {
		dir, err := lists.Open(filepath.Join(stateDir, listsDir))
		if err != nil {
			return nil, err
		}
		i.dir, i.broken = dir, map[string]error{}
	}
	return i.dir, nil
}

// trouble returns what is wrong with lists. The caller holds mu.
func (i *imports) trouble() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(i.broken)) {
		errs = append(errs, i.broken[name])
	}
	return errors.Join(errs...)
}

// restoreLists brings back the imported lists that are not in force yet and have not ended. Reconcile
// writes them. The kernel's entries of a list that cannot be read are taken out, as nobody wants them.
func (d *Daemon) restoreLists() {
	d.imports.mu.Lock()
	defer d.imports.mu.Unlock()
	d.imports.dir = nil // the directory may have been away before
	dir, err := d.imports.open(d.config.Load().StateDir)
	if err != nil {
		d.health.Report("lists", err)
		return
	}
	running := d.enforcer.Stats().Lists
	for _, m := range dir.List() {
		if slices.ContainsFunc(running, func(s enforce.ListStats) bool { return s.Class == m.Class }) || !m.Until.After(d.now()) {
			continue
		}
		if err := d.restoreList(dir, m); err != nil {
			d.imports.broken[m.Name] = err
		}
	}
	d.health.Report("lists", d.imports.trouble())
}

func (d *Daemon) restoreList(dir *lists.Dir, m lists.Meta) error {
	entries, err := dir.Load(m.Name)
	if err != nil {
		return err
	}
	mode, err := decision.ParseMode(m.Mode)
	if err != nil {
		return err
	}
	if err := d.enforcer.SetClassMode(m.Class, mode); err != nil {
		return err
	}
	r, err := d.enforcer.RestoreList(enforcedList(m, entries))
	d.log.Info("list restored", "list", m.Name, "mode", m.Mode, "entries", r.Entries, "held", r.Held, "protected", r.Protected)
	return err
}

func enforcedList(m lists.Meta, entries *lists.Entries) enforce.List {
	return enforce.List{Class: m.Class, Name: m.Name, Origin: m.Origin, Entries: entries, Imported: m.Imported, Until: m.Until}
}

// checkLists reports lists of which not everything is enforced.
func (d *Daemon) checkLists() {
	st := d.enforcer.Stats()
	var errs []error
	for _, l := range st.Lists {
		if l.Held > 0 {
			errs = append(errs, fmt.Errorf("%d of the %d entries of %s are not enforced, for there is room for %d bans in all: raise kernel.max_bans (%d) if the machine has the memory",
				l.Held, l.Entries, l.Name, st.Room, d.config.Load().Kernel.MaxBans))
		}
	}
	d.health.Report("room for lists", errors.Join(errs...))
}

// Lists implements api.Backend.
func (b backend) Lists(context.Context) ([]client.List, error) {
	b.imports.mu.Lock()
	dir, err := b.imports.open(b.config.Load().StateDir)
	b.imports.mu.Unlock()
	if err != nil {
		return nil, err
	}
	running := b.enforcer.Stats().Lists
	out := []client.List{}
	for _, m := range dir.List() {
		i := slices.IndexFunc(running, func(s enforce.ListStats) bool { return s.Class == m.Class })
		if i >= 0 {
			out = append(out, listOf(running[i]))
			continue
		}
		out = append(out, client.List{
			Name: m.Name, Class: int(m.Class), Mode: m.Mode, Origin: m.Origin, Entries: m.Entries, NotEnforced: m.Entries,
			ImportedAt: m.Imported.UTC(), ExpiresAt: m.Until.UTC(), Ended: true,
		})
	}
	return out, nil
}

func listOf(s enforce.ListStats) client.List {
	return client.List{
		Name: s.Name, Class: int(s.Class), Mode: s.Mode.String(), Origin: s.Origin, Entries: s.Entries, Enforced: s.Enforced,
		NotEnforced: s.Held, Protected: s.Protected, Because: s.Reason, Hits: s.Hits, ImportedAt: s.Imported.UTC(), ExpiresAt: s.Until.UTC(),
	}
}

// ImportList implements api.Backend. Unlike a ban, a list is kept first and enforced second: it is in
// no hurry, and one that a restart would forget is none.
func (b backend) ImportList(_ context.Context, name string, in api.ListImport) (client.List, error) {
	b.imports.mu.Lock()
	defer b.imports.mu.Unlock()
	dir, err := b.imports.open(b.config.Load().StateDir)
	if err != nil {
		return client.List{}, err
	}
	m, known := dir.Get(name)
	if !known {
		class, ok := dir.FreeClass()
		if !ok {
			return client.List{}, api.Conflictf("there are %d lists already, and no kernel class is left for %s: remove one (gabion lists remove)", len(dir.List()), name)
		}
		m = lists.Meta{Name: name, Class: class, Mode: decision.ModeDrop.String()}
	}
	if in.Mode != nil {
		m.Mode = in.Mode.String()
	}
	mode, err := decision.ParseMode(m.Mode)
	if err != nil {
		return client.List{}, err
	}
	m.Origin, m.Imported = in.Origin, b.now()
	m.Until = m.Imported.Add(in.Duration)
	if err := dir.Save(m, in.Entries); err != nil {
		return client.List{}, fmt.Errorf("not imported, for it could not be kept: %w", err)
	}
	if err := b.enforcer.SetClassMode(m.Class, mode); err != nil {
		return client.List{}, err
	}
	r, err := b.enforcer.ReplaceList(enforcedList(m, in.Entries))
	b.log.Info("list imported", "list", name, "mode", m.Mode, "entries", r.Entries, "enforced", r.Enforced, "held", r.Held,
		"protected", r.Protected, "until", m.Until)
	b.checkLists()
	delete(b.imports.broken, name)
	b.health.Report("lists", b.imports.trouble())
	if err != nil {
		err = fmt.Errorf("not all of it is in the kernel yet, which is tried again every minute: %w", err)
	}
	return listOf(enforce.ListStats{
		ListReport: r, Class: m.Class, Name: name, Origin: m.Origin, Mode: mode, Imported: m.Imported, Until: m.Until,
	}), err
}

// RemoveList implements api.Backend. It is forgotten first: what is not wanted any more must not come
// back with a restart.
func (b backend) RemoveList(_ context.Context, name string) (bool, error) {
	b.imports.mu.Lock()
	defer b.imports.mu.Unlock()
	dir, err := b.imports.open(b.config.Load().StateDir)
	if err != nil {
		return false, err
	}
	m, known := dir.Get(name)
	if !known {
		return false, nil
	}
	err = dir.Remove(name)
	if err != nil {
		err = fmt.Errorf("taken out of force, but a restart would bring it back: %w", err)
	}
	b.log.Info("list removed", "list", name, "entries", m.Entries)
	delete(b.imports.broken, name)
	b.health.Report("lists", b.imports.trouble())
	defer b.checkLists()
	return true, errors.Join(err, b.enforcer.RemoveList(m.Class))
}

// SetListMode implements api.Backend.
func (b backend) SetListMode(_ context.Context, name string, mode decision.Mode) error {
	b.imports.mu.Lock()
	defer b.imports.mu.Unlock()
	dir, err := b.imports.open(b.config.Load().StateDir)
	if err != nil {
		return err
	}
	m, known := dir.Get(name)
	if !known {
		return lists.ErrUnknown
	}
	b.log.Info("mode of list changed", "list", name, "from", m.Mode, "to", mode.String())
	kernel := b.enforcer.SetClassMode(m.Class, mode)
	if err := dir.SetMode(name, mode); err != nil {
		return errors.Join(fmt.Errorf("in force until the daemon stops, for it is not kept: %w", err), kernel)
	}
	return kernel
}

// collectLists hands over what is enforced of each list.
func (d *Daemon) collectLists(emit emit) {
	st := d.enforcer.Stats()
	emit("entries", "Kernel entries that decisions and lists ask for.", gauge, float64(st.Entries))
	emit("room", "Kernel entries that there is room for.", gauge, float64(st.Room))
	for _, l := range st.Lists {
		emit("list_entries", "Entries of the list.", gauge, float64(l.Entries), "list", l.Name)
		emit("list_enforced", "Entries of the list that are enforced.", gauge, float64(l.Enforced), "list", l.Name)
		emit("list_held", "Entries of the list that there is no room for.", gauge, float64(l.Held), "list", l.Name)
		emit("list_protected", "Entries of the list that must not be banned.", gauge, float64(l.Protected), "list", l.Name)
		emit("list_ends_timestamp_seconds", "When the list ends unless it is imported again.", gauge, float64(l.Until.UnixNano())/float64(time.Second), "list", l.Name)
	}
}
