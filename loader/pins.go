package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"gabion/userspace/decision"
)

const (
	linksDir = "links" // below the plane's directory
	bpffs    = "/sys/fs/bpf"
	newMark  = "-new-" // in the name of a directory that is being made
)

// create loads everything, pins it below a temporary directory and gives that its final name. What is
// half made never has the final name.
func (p *Plane) create(o Options) error {
	removeLeftovers(p.dir)
	tmp, err := os.MkdirTemp(filepath.Dir(p.dir), filepath.Base(p.dir)+newMark)
	if err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	if err := p.createIn(tmp, o); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, p.dir); err != nil {
		err = errors.Join(fmt.Errorf("put %s in place: %w", p.dir, err), os.RemoveAll(tmp))
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		return err
	}
	p.log.Info("data plane created", "dir", p.dir, "max_bans", p.maxBans)
	return nil
}

func (p *Plane) createIn(tmp string, o Options) error {
	var err error
	if p.lock, err = lockDir(tmp); err != nil {
		return err
	}
	spec, err := newSpec(o)
	if err != nil {
		return err
	}
	abi, err := abiOf(spec)
	if err != nil {
		return err
	}
	// The maps first and alone: the programs get them as any later version will.
	if err := spec.LoadAndAssign(&p.maps, nil); err != nil {
		return fmt.Errorf("create maps: %w", err)
	}
	clock, err := loadClock(spec)
	if err != nil {
		return err
	}
	if err := errors.Join(draw(&abi, clock), clock.Close()); err != nil {
		return err
	}
	if err := p.initMaps(abi); err != nil {
		return err
	}
	p.abi = abi
	if err := p.openTables(); err != nil {
		return err
	}
	progs, err := loadPrograms(spec, abi, replacements(&p.maps))
	if err != nil {
		return err
	}
	p.use(progs)
	for name, m := range byName(&p.maps) {
		if err := (*m).Pin(filepath.Join(tmp, pinOf(name))); err != nil {
			return fmt.Errorf("pin map %s: %w", name, err)
		}
	}
	for name, prog := range p.programs() {
		if err := pinProgram(prog, filepath.Join(tmp, name)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(tmp, linksDir), 0o700); err != nil {
		return fmt.Errorf("make directory of links: %w", err)
	}
	return nil
}

// use makes these programs the plane's own.
func (p *Plane) use(progs programs) {
	p.xdp, p.jumbo, p.tc, p.egress = progs.XDP, progs.Jumbo, progs.TC, progs.Egress
	p.ticks = &tickClock{
		prog: progs.Clock, hz: uint64(p.abi.Hz), shift: p.abi.TickShift,
		wall: func() time.Time { wall, _ := p.clock(); return wall },
	}
}

// initMaps fills what a new data plane starts with.
func (p *Plane) initMaps(abi bpfAbi) error {
	var control bpfControl
	control.Class[decision.ClassBan].Mode = uint32(decision.ModeDrop)
	control.Class[decision.ClassShadow].Mode = uint32(decision.ModeShadow)
	if err := p.maps.Control.Put(uint32(0), &control); err != nil {
		return fmt.Errorf("set classes: %w", err)
	}
	if err := p.maps.Abi.Put(uint32(0), &abi); err != nil {
		return fmt.Errorf("write ABI version: %w", err)
	}
	return nil
}

// loadPins opens every pinned map and program of this version.
func (p *Plane) loadPins(opts *ebpf.LoadPinOptions) error {
	spec, err := newSpec(Options{})
	if err != nil {
		return err
	}
	if err := p.checkVersion(spec, opts); err != nil {
		return err
	}
	for name, m := range byName(&p.maps) {
		if *m, err = ebpf.LoadPinnedMap(filepath.Join(p.dir, pinOf(name)), opts); err != nil {
			return fmt.Errorf("%w: open map %s: %w; gabion kernel remove clears it", ErrVersion, name, err)
		}
		want := spec.Maps[name]
		want.MaxEntries = (*m).MaxEntries()
		if opts.ReadOnly {
			continue // the handle's flags differ from the map's
		}
		if err := want.Compatible(*m); err != nil {
			return fmt.Errorf("%w: map %s: %w; gabion kernel remove clears it", ErrVersion, name, err)
		}
	}
	// A program has no read-only handle.
	var progs programs
	for name, prog := range progs.byName() {
		if *prog, err = ebpf.LoadPinnedProgram(filepath.Join(p.dir, name), nil); err != nil {
			return errors.Join(fmt.Errorf("open program %s: %w", name, err), progs.close())
		}
	}
	progs.Jumbo, err = ebpf.LoadPinnedProgram(filepath.Join(p.dir, jumboProgram), nil)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("open program %s: %w", jumboProgram, err), progs.close())
	}
	p.use(progs)
	return nil
}

// checkVersion reads the pinned ABI version before anything else is trusted.
func (p *Plane) checkVersion(spec *ebpf.CollectionSpec, opts *ebpf.LoadPinOptions) error {
	want, err := abiOf(spec)
	if err != nil {
		return err
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(p.dir, bpfMapAbi), opts)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("read version: %w: run as root", err)
	}
	if err != nil {
		return fmt.Errorf("%w: %s holds no data plane of gabion (%w): move it away or choose another directory",
			ErrVersion, p.dir, err)
	}
	defer m.Close()
	var have bpfAbi
	if err := m.Lookup(uint32(0), &have); err != nil {
		return fmt.Errorf("%w: read version: %w", ErrVersion, err)
	}
	if have.Version != want.Version || have.Classes != want.Classes {
		return fmt.Errorf("%w: pinned maps have version %d, this binary needs %d: use the gabion that made them, "+
			"or clear them with gabion kernel remove (bans are restored from the store)",
			ErrVersion, have.Version, want.Version)
	}
	p.abi = have
	return nil
}

func (p *Plane) programs() map[string]*ebpf.Program {
	out := map[string]*ebpf.Program{
		bpfProgGabionXdp: p.xdp, bpfProgGabionTc: p.tc, bpfProgGabionEgress: p.egress, bpfProgGabionClock: p.ticks.prog,
	}
	if p.jumbo != nil {
		out[jumboProgram] = p.jumbo
	}
	return out
}

// byName returns the programs under the names they have in C, which are also those of their pins.
func (p *programs) byName() map[string]**ebpf.Program {
	return map[string]**ebpf.Program{bpfProgGabionXdp: &p.XDP, bpfProgGabionTc: &p.TC, bpfProgGabionEgress: &p.Egress, bpfProgGabionClock: &p.Clock}
}

func (p *programs) close() error {
	return errors.Join(p.XDP.Close(), p.Jumbo.Close(), p.TC.Close(), p.Egress.Close(), p.Clock.Close())
}

func replacements(m *planeMaps) map[string]*ebpf.Map {
	out := map[string]*ebpf.Map{}
	for name, p := range byName(m) {
		out[name] = *p
	}
	return out
}

// lockDir takes the right to write. The lock belongs to the directory itself, so that it moves with
// a rename, and ends with the process however that ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: stop it first, or use its API", ErrBusy)
		}
		return nil, fmt.Errorf("lock directory: %w", err)
	}
	return f, nil
}

// removeLeftovers deletes temporary directories of creators that died. One that is locked is alive.
func removeLeftovers(dir string) {
	found, _ := filepath.Glob(dir + newMark + "*")
	for _, tmp := range found {
		if f, err := lockDir(tmp); err == nil {
			os.RemoveAll(tmp)
			f.Close()
		}
	}
}

// ensureBPFFS mounts bpffs at its usual place when dir belongs there and nothing is mounted.
func ensureBPFFS(dir string) error {
	parent := filepath.Dir(dir)
	if onBPFFS(parent) {
		return nil
	}
	if parent == bpffs || strings.HasPrefix(parent, bpffs+"/") {
		if !onBPFFS(bpffs) {
			if err := unix.Mount("bpf", bpffs, "bpf", 0, "mode=0700"); err != nil {
				return fmt.Errorf("mount bpffs at %s: %w: run as root, or mount it before: mount -t bpf bpf %s", bpffs, err, bpffs)
			}
		}
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return fmt.Errorf("make pin directory: %w", err)
		}
		return nil
	}
	return fmt.Errorf("%s is not on a bpffs: choose a directory below %s, or mount one there: mount -t bpf bpf %s",
		dir, bpffs, parent)
}

func onBPFFS(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.BPF_FS_MAGIC
}
