package kernel

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"gabion/bench/kernel/traffic"
)

// kind is one of the receivers to choose from.
type kind struct {
	name    string
	needs   []need
	prepare func(context.Context, *setup, *receiver) error
}

// setup is what preparing a receiver works with.
type setup struct {
	bench *bench
	set   traffic.Set
	peers *peersObjects
	port  *port
	undo  []func() error
}

// need is a program or file that a receiver or a structure uses, and the Debian package it is in.
type need struct{ file, pkg string }

const (
	toolNft      = "nft"
	toolIpset    = "ipset"
	toolIptables = "iptables"
	toolIP6      = "ip6tables"
	xdpFilterObj = "xdpfilt_alw_ip.o"
)

// receiverKinds returns the receivers whose needs are met; the notes name the others.
func (b *bench) receiverKinds() []kind {
	var out []kind
	for _, k := range []kind{
		{"bare", nil, prepareBare},
		{"gabion", nil, prepareGabion},
		{"lpm", nil, prepareLPM},
		{"xdp-filter", []need{{xdpFilterObj, "xdp-tools"}}, prepareXDPFilter},
		{"nft-ingress", []need{{toolNft, "nftables"}}, prepareNftIngress},
		{"nft-prerouting", []need{{toolNft, "nftables"}}, prepareNftPrerouting},
		{"ipset-raw", []need{{toolIpset, "ipset"}, {toolIptables, "iptables"}, {toolIP6, "iptables"}}, prepareIpset},
	} {
		if b.met(PartReceive, k.name, k.needs) {
			out = append(out, k)
		}
	}
	return out
}

func prepareBare(_ context.Context, s *setup, _ *receiver) error {
	return s.attach(s.peers.ReceiveBare)
}

func prepareGabion(_ context.Context, s *setup, r *receiver) error {
	p, err := openPlane(s.set.Bans)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, p.close)
	if err := p.fillWith(s.set, s.bench.until()); err != nil {
		return err
	}
	own, err := loadShipped(p, s.peers.Jobs)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, own.close)
	r.oracle = s.set.Oracle(true, s.set.Allows())
	r.dropped = func(context.Context) (uint64, error) {
		stats, err := p.Stats()
		return stats.Dropped(), err
	}
	return s.attach(own.Receive)
}

func prepareLPM(ctx context.Context, s *setup, r *receiver) error {
	deny, allow := of(s.set, s.peers.Deny4, s.peers.Deny6), of(s.set, s.peers.Allow4, s.peers.Allow6)
	err := errors.Join(fillTrie(ctx, deny, s.set.Family, all(s.set)), fillTrie(ctx, allow, s.set.Family, allows(s.set)))
	if err != nil {
		return err
	}
	r.oracle = s.set.Oracle(true, s.set.Allows())
	r.dropped = func(context.Context) (uint64, error) { return sumCPUs(s.peers.Verdicts, 1) }
	return s.attach(s.peers.ReceiveLpm)
}

// sumCPUs adds up the copies of one number that every CPU has.
func sumCPUs(m *ebpf.Map, key uint32) (sum uint64, err error) {
	var perCPU []uint64
	if err := m.Lookup(key, &perCPU); err != nil {
		return 0, fmt.Errorf("read counter: %w", err)
	}
	for _, n := range perCPU {
		sum += n
	}
	return sum, nil
}

// attach puts an XDP program on the receiver's end, in the driver.
func (s *setup) attach(prog *ebpf.Program) error {
	return s.port.ns.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: s.port.near, Flags: link.XDPDriverMode})
		if err != nil {
			return fmt.Errorf("attach to %s: %w", s.port.name, err)
		}
		s.undo = append(s.undo, l.Close)
		return nil
	})
}

// met reports whether everything needed is there; if not, a note says what to install.
func (b *bench) met(part, name string, needs []need) bool {
	for _, n := range needs {
		if _, err := find(n.file); err != nil {
			b.note(fmt.Sprintf("%s: %s is left out, for lack of %s: install the Debian package %s", part, name, n.file, n.pkg))
			return false
		}
	}
	return true
}

// find returns the path of a program, also when PATH lacks the administrator's directories, or of a
// BPF object of xdp-tools.
func find(file string) (string, error) {
	if filepath.Ext(file) == ".o" {
		for _, pattern := range []string{"/usr/lib/*/bpf/", "/usr/lib/bpf/", "/usr/lib64/bpf/", "/usr/local/lib/bpf/"} {
			if found, _ := filepath.Glob(pattern + file); len(found) > 0 {
				return found[0], nil
			}
		}
		return "", fmt.Errorf("%s: not found", file)
	}
	path, err := exec.LookPath(file)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + file)
	}
	return path, err
}
