package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// flagFrags is BPF_F_XDP_HAS_FRAGS: the program takes packets of several buffers.
const flagFrags = 1 << 5

// programs are the two hooks, in the form the collection fills in.
type programs struct {
	XDP *ebpf.Program `ebpf:"gabion_xdp"`
	TC  *ebpf.Program `ebpf:"gabion_tc"`
}

// newSpec returns the embedded object with its tables sized. It needs no privileges.
func newSpec(o Options) (*ebpf.CollectionSpec, error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("read embedded object: %w", err)
	}
	if o.MaxBans > 0 {
		spec.Maps[bpfMapBans4].MaxEntries = o.MaxBans
		spec.Maps[bpfMapBans6].MaxEntries = o.MaxBans
	}
	if o.MaxAllows > 0 {
		spec.Maps[bpfMapAllow4].MaxEntries = o.MaxAllows
		spec.Maps[bpfMapAllow6].MaxEntries = o.MaxAllows
	}
	return spec, nil
}

// abiOf says what a spec's maps look like to other versions.
func abiOf(spec *ebpf.CollectionSpec) (bpfAbi, error) {
	abi := bpfAbi{
		Classes:   spec.Maps[bpfMapClasses].MaxEntries,
		MaxBans:   spec.Maps[bpfMapBans4].MaxEntries,
		MaxAllows: spec.Maps[bpfMapAllow4].MaxEntries,
	}
	if err := spec.Variables[bpfVarAbiVersion].Get(&abi.Version); err != nil {
		return abi, fmt.Errorf("read ABI version of the embedded object: %w", err)
	}
	return abi, nil
}

// useFrags lets the XDP program take jumbo frames where the kernel knows them (5.18).
func useFrags(spec *ebpf.CollectionSpec) error {
	err := features.HaveProgramHelper(ebpf.XDP, asm.FnXdpGetBuffLen)
	if errors.Is(err, ebpf.ErrNotSupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("probe jumbo frames: %w", err)
	}
	spec.Programs[bpfProgGabionXdp].Flags |= flagFrags
	if err := spec.Variables[bpfVarXdpFrags].Set(uint8(1)); err != nil {
		return fmt.Errorf("set xdp_frags: %w", err)
	}
	return nil
}

// loadPrograms verifies both hooks against the given maps.
func loadPrograms(spec *ebpf.CollectionSpec, maps map[string]*ebpf.Map) (programs, error) {
	var progs programs
	if err := useFrags(spec); err != nil {
		return progs, err
	}
	err := spec.LoadAndAssign(&progs, &ebpf.CollectionOptions{MapReplacements: maps})
	if err != nil {
		return progs, fmt.Errorf("load programs: %w", err)
	}
	return progs, nil
}

// byName returns the maps under the names they have in C, which are also those of their pins.
func byName(m *bpfMaps) map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		bpfMapAbi: &m.Abi, bpfMapAllow4: &m.Allow4, bpfMapAllow6: &m.Allow6,
		bpfMapBans4: &m.Bans4, bpfMapBans6: &m.Bans6, bpfMapBudgets: &m.Budgets,
		bpfMapClaims: &m.Claims, bpfMapClasses: &m.Classes, bpfMapConns: &m.Conns,
		bpfMapEvents: &m.Events, bpfMapMeters: &m.Meters, bpfMapStats: &m.Stats,
		bpfMapSuspects: &m.Suspects, bpfMapSampling: &m.Sampling, bpfMapSampled: &m.Sampled,
		bpfMapSamples: &m.Samples,
	}
}
