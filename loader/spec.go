package loader

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// flagFrags is BPF_F_XDP_HAS_FRAGS: the program takes packets of several buffers.
const flagFrags = 1 << 5

// programs are the three hooks and what reads the clock, verified and ready.
type programs struct {
	XDP    *ebpf.Program
	Jumbo  *ebpf.Program // gabion_xdp for jumbo frames; nil where the kernel has none
	TC     *ebpf.Program
	Egress *ebpf.Program
	Clock  *ebpf.Program
}

// newSpec returns the embedded object with its tables sized. It needs no privileges.
func newSpec(o Options) (*ebpf.CollectionSpec, error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("read embedded object: %w", err)
	}
	spec.Maps[mapControl].Flags |= unix.BPF_F_MMAPABLE
	spec.Maps[bpfMapAny6].MaxEntries = 2 * any6Words(o.MaxBans)
	if o.MaxAllows > 0 {
		spec.Maps[bpfMapAllow4].MaxEntries = o.MaxAllows
		spec.Maps[bpfMapAllow6].MaxEntries = o.MaxAllows
	}
	return spec, nil
}

// any6Words sizes one half of the IPv6 filter: 16 bits for each ban, between 32 KiB and 8 MiB.
func any6Words(maxBans uint32) uint32 {
	if maxBans == 0 || maxBans == DefaultMaxBans {
		return 1 << usualWords6 // enough for a million, and still of use for ten
	}
	return 1 << table.BloomLog2For(int(maxBans), leastWords6+2, mostWords6)
}

// abiOf says what a spec's maps look like to other versions.
func abiOf(spec *ebpf.CollectionSpec) (bpfAbi, error) {
	abi := bpfAbi{
		Classes:   decision.Classes,
		MaxBans:   spec.Maps[bpfMapBans4].MaxEntries,
		MaxAllows: spec.Maps[bpfMapAllow4].MaxEntries,
		Any6Words: spec.Maps[bpfMapAny6].MaxEntries / 2,
	}
	if err := spec.Variables[bpfVarAbiVersion].Get(&abi.Version); err != nil {
		return abi, fmt.Errorf("read ABI version of the embedded object: %w", err)
	}
	return abi, nil
}

// draw fills in what is this boot's own: the secret of the hashes and the kernel's clock.
func draw(abi *bpfAbi, clock *ebpf.Program) error {
	hz, err := measureHZ(func() (reading, error) { return readJiffies(clock) }, time.Sleep)
	if err != nil {
		return err
	}
	abi.Hz, abi.TickShift = uint32(hz), tickShift(hz)
	var secret [16]byte
	rand.Read(secret[:]) // never fails (crypto/rand)
	for i := range abi.HashKey {
		abi.HashKey[i] = binary.NativeEndian.Uint64(secret[8*i:]) | 1
	}
	return nil
}

// setKnobs gives a spec the constants that go with the maps. A spec without one of them does not need it.
func setKnobs(spec *ebpf.CollectionSpec, abi bpfAbi) error {
	for name, value := range map[string]any{
		bpfVarHashKey: abi.HashKey, bpfVarTickShift: abi.TickShift, bpfVarAny6Words: abi.Any6Words,
	} {
		v, ok := spec.Variables[name]
		if !ok {
			continue
		}
		if err := v.Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// loadPrograms verifies the hooks against the given maps.
func loadPrograms(spec *ebpf.CollectionSpec, abi bpfAbi, maps map[string]*ebpf.Map) (programs, error) {
	var progs programs
	if err := setKnobs(spec, abi); err != nil {
		return progs, err
	}
	o := &ebpf.CollectionOptions{MapReplacements: maps}
	jumbo := spec.Copy()
	var base struct {
		XDP    *ebpf.Program `ebpf:"gabion_xdp"`
		TC     *ebpf.Program `ebpf:"gabion_tc"`
		Egress *ebpf.Program `ebpf:"gabion_egress"`
		Clock  *ebpf.Program `ebpf:"gabion_clock"`
	}
	err := spec.LoadAndAssign(&base, o)
	if err != nil {
		return progs, fmt.Errorf("load programs: %w", err)
	}
	progs = programs{XDP: base.XDP, TC: base.TC, Egress: base.Egress, Clock: base.Clock}
	if progs.Jumbo, err = loadJumbo(jumbo, o); err != nil {
		return programs{}, errors.Join(err, progs.close())
	}
	return progs, nil
}

// jumboProgram is the name of gabion_xdp in the form that takes packets of several buffers.
const jumboProgram = "gabion_jumbo"

// loadJumbo verifies the XDP program once more for interfaces with jumbo frames, where the kernel knows
// packets of several buffers (5.18); elsewhere there is none. It is a program of its own because only
// the kernel can tell the length of such a packet, and asking costs as much as a lookup.
func loadJumbo(spec *ebpf.CollectionSpec, o *ebpf.CollectionOptions) (*ebpf.Program, error) {
	err := features.HaveProgramHelper(ebpf.XDP, asm.FnXdpGetBuffLen)
	if errors.Is(err, ebpf.ErrNotSupported) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("probe jumbo frames: %w", err)
	}
	spec.Programs[bpfProgGabionXdp].Name = jumboProgram
	spec.Programs[bpfProgGabionXdp].Flags |= flagFrags
	if err := spec.Variables[bpfVarXdpFrags].Set(uint8(1)); err != nil {
		return nil, fmt.Errorf("set xdp_frags: %w", err)
	}
	var one struct {
		XDP *ebpf.Program `ebpf:"gabion_xdp"`
	}
	if err := spec.LoadAndAssign(&one, o); err != nil {
		return nil, fmt.Errorf("load program %s: %w", jumboProgram, err)
	}
	return one.XDP, nil
}

// planeMaps are all maps: those that are declared as such in C, and the one that is variables.
type planeMaps struct {
	bpfMaps
	Control *ebpf.Map `ebpf:".data.control"`
}

// mapControl is the name of the map of variables, which in C is that of a section.
const mapControl = ".data.control"

// Words of the map of variables (struct control).
const (
	viewWord4  = 0
	viewWord6  = 1
	classWords = int(unsafe.Offsetof(bpfControl{}.Class) / 8) // the first
	meterWord  = int(unsafe.Offsetof(bpfControl{}.Meters) / 8)
)

func (m *planeMaps) Close() error { return errors.Join(m.bpfMaps.Close(), m.Control.Close()) }

// pinOf is the name of a map's pin: bpffs has no dots.
func pinOf(name string) string { return strings.TrimPrefix(name, ".data.") }

// byName returns the maps under the names they have in C, from which pinOf makes those of their pins.
func byName(m *planeMaps) map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		mapControl: &m.Control, bpfMapAny4: &m.Any4, bpfMapAny6: &m.Any6, bpfMapCidrBits4: &m.CidrBits4,
		bpfMapHosts4: &m.Hosts4, bpfMapHosts6: &m.Hosts6, bpfMapNets4: &m.Nets4, bpfMapAllowBits: &m.AllowBits,
		bpfMapAbi: &m.Abi, bpfMapAllow4: &m.Allow4, bpfMapAllow6: &m.Allow6,
		bpfMapBans4: &m.Bans4, bpfMapBans6: &m.Bans6, bpfMapBudgets: &m.Budgets,
		bpfMapClaims: &m.Claims, bpfMapConns: &m.Conns,
		bpfMapEvents: &m.Events, bpfMapMeters: &m.Meters, bpfMapStats: &m.Stats,
		bpfMapMeterCounts: &m.MeterCounts, bpfMapMeterSlots: &m.MeterSlots,
		bpfMapSketches: &m.Sketches, bpfMapProven: &m.Proven, bpfMapLooks: &m.Looks,
		bpfMapSuspects: &m.Suspects, bpfMapSampling: &m.Sampling, bpfMapSampled: &m.Sampled,
		bpfMapSamples: &m.Samples,
	}
}

// loadClock verifies the program that reads the clock, which needs no maps.
func loadClock(spec *ebpf.CollectionSpec) (*ebpf.Program, error) {
	prog, err := ebpf.NewProgram(spec.Programs[bpfProgGabionClock])
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", bpfProgGabionClock, err)
	}
	return prog, nil
}

// Bind gives another object, built from the same headers in bpf/, this plane's tables: it sets the
// constants that go with them in spec, and returns the maps that spec has in common, for
// ebpf.CollectionOptions. They stay the plane's.
func (p *Plane) Bind(spec *ebpf.CollectionSpec) (map[string]*ebpf.Map, error) {
	if err := setKnobs(spec, p.abi); err != nil {
		return nil, fmt.Errorf("bind to data plane: %w", err)
	}
	out := map[string]*ebpf.Map{}
	for name, m := range byName(&p.maps) {
		want, ok := spec.Maps[name]
		if !ok {
			continue
		}
		want.MaxEntries, want.Flags = (*m).MaxEntries(), (*m).Flags()
		out[name] = *m
	}
	return out, nil
}
