package kernel

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"gabion/bench/kernel/traffic"
)

// shipped are the programs over the shipped headers.
type shipped struct {
	Lookup4 *ebpf.Program `ebpf:"lookup_gabion4"`
	Lookup6 *ebpf.Program `ebpf:"lookup_gabion6"`
	Receive *ebpf.Program `ebpf:"receive_gabion"`
}

func (s *shipped) close() error {
	return errors.Join(s.Lookup4.Close(), s.Lookup6.Close(), s.Receive.Close())
}

// loadShipped loads them on the tables of a plane and with its knobs. The jobs are those of peers.
func loadShipped(p *plane, jobs *ebpf.Map) (*shipped, error) {
	spec, err := loadGabion()
	if err != nil {
		return nil, err
	}
	maps, err := p.Bind(spec)
	if err != nil {
		return nil, err
	}
	maps[gabionMapJobs] = jobs
	var out shipped
	if err := spec.LoadAndAssign(&out, &ebpf.CollectionOptions{MapReplacements: maps}); err != nil {
		return nil, fmt.Errorf("load gabion's programs: %w", err)
	}
	return &out, nil
}

// fixedTables returns the bytes of the tables that serve a family's bans and stand, at one size, from
// the beginning: the filters in front.
func (p *plane) fixedTables(f traffic.Family) (bytes int64, err error) {
	spec, err := loadGabion()
	if err != nil {
		return 0, err
	}
	maps, err := p.Bind(spec)
	if err != nil {
		return 0, err
	}
	names := []string{gabionMapAny4, gabionMapCidrBits4}
	if f == traffic.IPv6 {
		names = []string{gabionMapAny6}
	}
	for _, name := range names {
		bytes += int64(maps[name].MaxEntries()) * int64(maps[name].ValueSize())
	}
	return bytes, nil
}

// loadPeersFor loads the other programs with their tables sized for a set.
func loadPeersFor(s traffic.Set) (*peersObjects, error) {
	spec, err := loadPeers()
	if err != nil {
		return nil, err
	}
	spec.Maps[familyName("deny", s)].MaxEntries = uint32(s.Bans + traffic.Networks)
	spec.Maps[familyName("nets", s)].MaxEntries = traffic.Networks
	spec.Maps[familyName("allow", s)].MaxEntries = uint32(len(s.Allows()))
	spec.Maps[familyName("hosts", s)].MaxEntries = uint32(max(s.Bans, 1))
	var out peersObjects
	if err := spec.LoadAndAssign(&out, nil); err != nil {
		return nil, fmt.Errorf("load the programs to compare with: %w", err)
	}
	return &out, nil
}

func familyName(stem string, s traffic.Set) string { return fmt.Sprintf("%s%d", stem, s.Family) }

// of chooses the map of the set's family.
func of[T any](s traffic.Set, v4, v6 T) T {
	if s.Family == traffic.IPv4 {
		return v4
	}
	return v6
}
