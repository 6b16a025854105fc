package loader

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"gabion/userspace/decision"
)

// DefaultDir is where the daemon pins.
const DefaultDir = "/sys/fs/bpf/gabion"

// DefaultMaxBans is the limit on entries of each family when Options sets none.
const DefaultMaxBans = 1 << 24

// Options says where and how large. The zero value of a field means its default.
type Options struct {
	Dir       string       // below a bpffs; DefaultDir
	MaxBans   uint32       // entries per family; DefaultMaxBans
	MaxAllows uint32       // per family; likewise
	Log       *slog.Logger // nil discards
	Clock     Clock        // SystemClock

	firstLines int // of the first IPv4 host table, half of those of the IPv6 one; power of two
}

// Plane is the data plane pinned below one directory. Its methods are safe for concurrent use, except
// Close.
type Plane struct {
	dir   string
	log   *slog.Logger
	clock Clock

	maps       planeMaps
	abi        bpfAbi        // what the maps were made for
	xdp, tc    *ebpf.Program // both filter
	jumbo      *ebpf.Program // xdp for interfaces with jumbo frames; nil where the kernel has no such thing
	egress     *ebpf.Program
	ticks      *tickClock
	maxBans    int
	firstLines int      // see Options
	lock       *os.File // held while open for writing; nil: read only
	legacyTC   bool     // pretend that tcx does not exist

	mu         sync.Mutex // covers what follows, and serialises attaching and setting meters
	tables     tables
	unwatched  map[int]bool // interfaces of which it is logged that their egress is not watched
	metersLate bool         // packets that began before the last SetMeters may not be done
}

// Open creates the data plane in o.Dir or takes over what is pinned there. Taking over never pauses the
// filter: the maps stay, and programs that differ from this binary's are replaced in one step.
//
// It fails with ErrUnsupported, ErrVersion or ErrBusy; each message says what to do.
func Open(o Options) (*Plane, error) {
	o = o.withDefaults()
	if err := CheckSupport(); err != nil {
		return nil, err
	}
	if err := ensureBPFFS(o.Dir); err != nil {
		return nil, err
	}
	p := &Plane{
		dir: o.Dir, log: o.Log, clock: o.Clock, maxBans: int(o.MaxBans), firstLines: o.firstLines, unwatched: map[int]bool{},
	}
	if err := p.open(o); err != nil {
		return nil, errors.Join(fmt.Errorf("open data plane %s: %w", o.Dir, err), p.Close())
	}
	return p, nil
}

func (p *Plane) open(o Options) error {
	// An empty directory is no data plane; removing one that is not empty fails, as it should.
	_ = unix.Rmdir(p.dir)
	var st unix.Stat_t
	err := unix.Lstat(p.dir, &st)
	switch {
	case err == nil && (st.Mode&unix.S_IFMT != unix.S_IFDIR):
		err = fmt.Errorf("%w: it is no directory: move it away or choose another one", ErrVersion)
	case err == nil && int(st.Uid) != os.Geteuid():
		// bpffs is often writable for all.
		err = fmt.Errorf("it belongs to user %d: remove it, or choose another directory", st.Uid)
	case err == nil:
		err = p.reopen(o)
	case errors.Is(err, unix.ENOENT):
		err = p.create(o)
	}
	return err
}

// OpenReadOnly opens what is pinned below dir for looking at it, also while a daemon runs. It fails with
// ErrNotLoaded when nothing is pinned there.
func OpenReadOnly(dir string) (*Plane, error) {
	o := Options{Dir: dir}.withDefaults()
	if _, err := os.Stat(o.Dir); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open data plane %s: %w: start the daemon first (gabion run)", o.Dir, ErrNotLoaded)
	}
	p := &Plane{dir: o.Dir, log: o.Log, clock: o.Clock}
	if err := p.loadPins(&ebpf.LoadPinOptions{ReadOnly: true}); err != nil {
		return nil, errors.Join(fmt.Errorf("open data plane %s: %w", o.Dir, err), p.Close())
	}
	return p, nil
}

// Close releases the handles and the lock. Everything stays pinned and goes on working.
func (p *Plane) Close() error {
	errs := []error{p.tables.close(), p.maps.Close(), p.xdp.Close(), p.jumbo.Close(), p.tc.Close(), p.egress.Close()}
	if p.ticks != nil {
		errs = append(errs, p.ticks.prog.Close())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(errs...)
}

// SetClass changes what is done with all sources banned under class, from the next packet on.
func (p *Plane) SetClass(class decision.Class, mode decision.Mode) error {
	if class >= decision.Classes || mode > decision.ModeShadow {
		return fmt.Errorf("set class %d to mode %d: there are classes 0 to %d and modes off, drop, shadow",
			class, mode, decision.Classes-1)
	}
	if err := p.writable(); err != nil {
		return fmt.Errorf("set class %d: %w", class, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := &p.tables.control.words[classWords+int(class)]
	origin := atomic.LoadUint64(at) >> 32
	atomic.StoreUint64(at, origin<<32|uint64(mode))
	return nil
}

// ClassModes returns the mode of every class.
func (p *Plane) ClassModes() ([decision.Classes]decision.Mode, error) {
	var modes [decision.Classes]decision.Mode
	control, err := p.readControl()
	for i, c := range control.Class {
		modes[i] = decision.Mode(c.Mode)
	}
	return modes, err
}

// readControl reads how tables and classes are treated now. It is not by memory: a handle for reading only
// cannot be mapped to be shared.
func (p *Plane) readControl() (control bpfControl, err error) {
	if err := p.maps.Control.Lookup(uint32(0), &control); err != nil {
		return control, fmt.Errorf("read the view of the tables: %w", err)
	}
	return control, nil
}

func (p *Plane) writable() error {
	if p.lock == nil {
		return ErrReadOnly
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.firstLines == 0 {
		o.firstLines = firstLines
	}
	if o.MaxBans == 0 {
		o.MaxBans = DefaultMaxBans
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = SystemClock
	}
	return o
}
