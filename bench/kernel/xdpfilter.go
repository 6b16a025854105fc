package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
)

// What is known of xdp-filter: its program that passes all but the listed addresses, its tables and
// their values.
const (
	xdpFilterProgram = "xdpfilt_alw_ip"
	xdpFilterStats   = "xdp_stats_map"
	xdpFilterSource  = 1 // the value that says: denied as a source
)

// prepareXDPFilter loads that project's object as its package installs it, with a larger table. What
// it passes goes to the stack, so it is addressed to another machine.
func prepareXDPFilter(ctx context.Context, s *setup, r *receiver) error {
	path, err := find(xdpFilterObj)
	if err != nil {
		return err
	}
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	table := of(s.set, "filter_ipv4", "filter_ipv6")
	if spec.Maps[table] == nil || spec.Maps[xdpFilterStats] == nil || spec.Programs[xdpFilterProgram] == nil {
		return fmt.Errorf("%s is not the xdp-filter that is known here: it lacks %s, %s or %s", path, table, xdpFilterStats, xdpFilterProgram)
	}
	spec.Maps[table].MaxEntries = uint32(max(s.set.Bans, 1))
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return fmt.Errorf("load %s: %w", path, err)
	}
	s.undo = append(s.undo, func() error { coll.Close(); return nil })
	if err := fillHash(ctx, coll.Maps[table], s.set.Family, hosts(s.set), xdpFilterSource); err != nil {
		return err
	}
	r.frame = frameTo(s.set.Family, otherMachine())
	r.dropped = func(context.Context) (uint64, error) { return xdpFilterDropped(coll.Maps[xdpFilterStats]) }
	return s.attach(coll.Programs[xdpFilterProgram])
}

// xdpFilterDropped reads its counter of XDP_DROP: packets and bytes, for each CPU.
func xdpFilterDropped(stats *ebpf.Map) (packets uint64, err error) {
	const xdpDrop = uint32(1)
	var perCPU []struct{ Packets, Bytes uint64 }
	if err := stats.Lookup(xdpDrop, &perCPU); err != nil {
		return 0, errors.Join(errors.New("read the counters of xdp-filter"), err)
	}
	for _, c := range perCPU {
		packets += c.Packets
	}
	return packets, nil
}

// otherMachine is a link address that no interface here has.
func otherMachine() net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, 0xfe} }
