package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// reopen takes over what is pinned. The filter runs all the time: the maps are kept, and each link
// changes from the old program to the new one between two packets.
func (p *Plane) reopen(o Options) error {
	var err error
	if p.lock, err = lockDir(p.dir); err != nil {
		return err
	}
	if err := p.loadPins(&ebpf.LoadPinOptions{}); err != nil {
		return err
	}
	if have := p.maps.Allow4.MaxEntries(); o.MaxAllows > 0 && have != o.MaxAllows {
		p.log.Warn("size of pinned tables kept", "table", "allow", "have", have, "configured", o.MaxAllows,
			"advice", "gabion kernel remove, then start again")
	}
	if err := p.openTables(); err != nil {
		return err
	}
	return p.upgrade()
}

// upgrade replaces the pinned programs when they are not this binary's.
func (p *Plane) upgrade() error {
	spec, err := newSpec(Options{})
	if err != nil {
		return err
	}
	for name, m := range byName(&p.maps) {
		spec.Maps[name].MaxEntries = (*m).MaxEntries()
	}
	progs, err := loadPrograms(spec, p.abi, replacements(&p.maps))
	if err != nil {
		return err
	}
	sameXDP, err := sameProgram(p.xdp, progs.XDP)
	sameTC, err2 := sameProgram(p.tc, progs.TC)
	sameEgress, err3 := sameProgram(p.egress, progs.Egress)
	sameJumbo := (p.jumbo == nil) == (progs.Jumbo == nil) // otherwise it is as the other one is
	if err = errors.Join(err, err2, err3); err != nil || sameXDP && sameTC && sameEgress && sameJumbo {
		if err := errors.Join(err, progs.close()); err != nil {
			return err
		}
		return p.updateLinks() // an upgrade to another version may have ended before it pinned anything
	}
	return p.replacePrograms(progs)
}

// replacePrograms puts progs in place of the pinned programs, links first. When it fails in between,
// some links run the old program and some the new one; both work on the same maps, and the next
// Open finds a difference, in the pins or in the links, and goes on.
func (p *Plane) replacePrograms(progs programs) error {
	old := programs{XDP: p.xdp, Jumbo: p.jumbo, TC: p.tc, Egress: p.egress, Clock: p.ticks.prog}
	p.use(progs)
	if err := old.close(); err != nil {
		return fmt.Errorf("close old programs: %w", err)
	}
	if err := p.updateLinks(); err != nil {
		return err
	}
	for name, prog := range p.programs() {
		if err := repin(prog, filepath.Join(p.dir, name)); err != nil {
			return err
		}
	}
	p.log.Info("programs upgraded", "dir", p.dir)
	return nil
}

// updateLinks makes every attachment run the current program.
func (p *Plane) updateLinks() error {
	pins, err := p.linkPins()
	if err != nil {
		return err
	}
	for _, pin := range pins {
		if err := p.updateLink(pin); err != nil {
			return fmt.Errorf("upgrade program on %s: %w", pin.ifname, err)
		}
	}
	return nil
}

// updateLink makes one attachment run the current program. One whose interface is gone is left
// for Attach to clear away.
func (p *Plane) updateLink(pin linkPin) error {
	running, err := runningProgram(pin)
	if err != nil {
		return err
	}
	prog, err := p.successor(pin.mode, running)
	if err != nil {
		return err
	}
	info, err := prog.Info()
	if err != nil {
		return fmt.Errorf("read program info: %w", err)
	}
	if id, ok := info.ID(); running == 0 || ok && id == running {
		return nil
	}
	if pin.mode.isClsact() {
		return p.updateClsact(pin)
	}
	l, err := link.LoadPinnedLink(pin.path, nil)
	if err != nil {
		return fmt.Errorf("open link: %w", err)
	}
	defer l.Close()
	if err := l.Update(prog); err != nil {
		return fmt.Errorf("update link: %w", err)
	}
	return nil
}

// successor returns the program that takes the place of the one that runs at an attachment. A link never
// changes between the forms for jumbo frames and for others: the kernel refuses that.
func (p *Plane) successor(mode Mode, running ebpf.ProgramID) (*ebpf.Program, error) {
	prog := p.program(mode)
	if prog != p.xdp || p.jumbo == nil || running == 0 {
		return prog, nil
	}
	old, err := ebpf.NewProgramFromID(running)
	if err != nil {
		return nil, fmt.Errorf("open the running program: %w", err)
	}
	defer old.Close()
	info, err := old.Info()
	if err != nil {
		return nil, fmt.Errorf("read program info: %w", err)
	}
	if info.Name == jumboProgram {
		return p.jumbo, nil
	}
	return prog, nil
}

// repin gives the pin at path to prog, in one step.
func repin(prog *ebpf.Program, path string) error {
	tmp := path + newMark
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove old temporary pin: %w", err)
	}
	if err := pinProgram(prog, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("put program pin %s in place: %w", filepath.Base(path), err)
	}
	return nil
}

// pinProgram adds a pin. Pinning the program itself would move the pin it has.
func pinProgram(prog *ebpf.Program, path string) error {
	other, err := prog.Clone()
	if err != nil {
		return fmt.Errorf("copy program handle: %w", err)
	}
	defer other.Close()
	if err := other.Pin(path); err != nil {
		return fmt.Errorf("pin program %s: %w", filepath.Base(path), err)
	}
	return nil
}
