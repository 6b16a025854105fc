package kernel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"gabion/bench/kernel/traffic"
	"gabion/bench/lab/topology"
)

const (
	nftTable = "bench"
	nftSet   = "banned"
	setName  = "banned"
	// nftBatch is how many elements one run of nft takes: it keeps some 500 bytes for each.
	nftBatch = 1 << 20
)

func prepareNftIngress(ctx context.Context, s *setup, r *receiver) error {
	chain := fmt.Sprintf("type filter hook ingress device %q priority 0", s.port.name)
	return prepareNft(ctx, s, r, "netdev", chain)
}

func prepareNftPrerouting(ctx context.Context, s *setup, r *receiver) error {
	return prepareNft(ctx, s, r, "inet", "type filter hook prerouting priority raw")
}

// prepareNft drops what is in the set and, by the next rule, everything else.
func prepareNft(ctx context.Context, s *setup, r *receiver, family, chain string) error {
	nft, err := find(toolNft)
	if err != nil {
		return err
	}
	if err := s.port.poll(); err != nil {
		return err
	}
	script := nftSetScript(family, s.set) + fmt.Sprintf(
		"add chain %[1]s %[2]s in { %[3]s; }\nadd rule %[1]s %[2]s in %[4]s saddr @%[5]s counter drop\nadd rule %[1]s %[2]s in counter drop\n",
		family, nftTable, chain, of(s.set, "ip", "ip6"), nftSet)
	if _, err := run(ctx, s.port.ns, strings.NewReader(script), nft, "-f", "-"); err != nil {
		return err
	}
	if err := fillNft(ctx, s, nft, family); err != nil {
		return err
	}
	r.dropped = func(ctx context.Context) (uint64, error) {
		out, err := run(ctx, s.port.ns, nil, nft, "-j", "list", "chain", family, nftTable, "in")
		if err != nil {
			return 0, err
		}
		return firstNftCounter(out)
	}
	return nil
}

// nftSetScript makes the table and its empty set.
func nftSetScript(family string, set traffic.Set) string {
	return fmt.Sprintf("add table %[1]s %[2]s\nadd set %[1]s %[2]s %[3]s { type %[4]s_addr; size %[5]d; }\n",
		family, nftTable, nftSet, set.Family, max(set.Bans, 1))
}

func fillNft(ctx context.Context, s *setup, nft, family string) error {
	for from := 0; from < s.set.Bans; from += nftBatch {
		to := min(from+nftBatch, s.set.Bans)
		err := feed(ctx, s.port.ns, func(w io.Writer) error { return writeNft(w, family, s.set, from, to) }, nft, "-f", "-")
		if err != nil {
			return err
		}
	}
	return nil
}

// writeNft writes elements as commands of nft.
func writeNft(w io.Writer, family string, set traffic.Set, from, to int) error {
	fmt.Fprintf(w, "add element %s %s %s {\n", family, nftTable, nftSet)
	for i := from; i < to; i++ {
		fmt.Fprintf(w, "%s,\n", set.Host(uint32(i)))
	}
	_, err := io.WriteString(w, "}\n")
	return err
}

// firstNftCounter reads the counter of a chain's first rule from the JSON that nft prints.
func firstNftCounter(text string) (uint64, error) {
	var listing struct {
		Nftables []struct {
			Rule *struct {
				Expr []struct {
					Counter *struct{ Packets uint64 }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &listing); err != nil {
		return 0, fmt.Errorf("read what nft lists: %w", err)
	}
	for _, o := range listing.Nftables {
		if o.Rule == nil {
			continue
		}
		for _, e := range o.Rule.Expr {
			if e.Counter != nil {
				return e.Counter.Packets, nil
			}
		}
	}
	return 0, fmt.Errorf("read what nft lists: no rule with a counter")
}

// prepareIpset drops what is in the set in the raw table and, by the next rule, everything else.
func prepareIpset(ctx context.Context, s *setup, r *receiver) error {
	ipset, err := find(toolIpset)
	if err != nil {
		return err
	}
	iptables, err := find(of(s.set, toolIptables, toolIP6))
	if err != nil {
		return err
	}
	if err := s.port.poll(); err != nil {
		return err
	}
	if err := feed(ctx, s.port.ns, func(w io.Writer) error { return writeIpset(w, s.set) }, ipset, "restore"); err != nil {
		return err
	}
	for _, rule := range [][]string{
		{"-t", "raw", "-A", "PREROUTING", "-m", "set", "--match-set", setName, "src", "-j", "DROP"},
		{"-t", "raw", "-A", "PREROUTING", "-j", "DROP"},
	} {
		if _, err := run(ctx, s.port.ns, nil, iptables, rule...); err != nil {
			return err
		}
	}
	r.dropped = func(ctx context.Context) (uint64, error) {
		out, err := run(ctx, s.port.ns, nil, iptables, "-t", "raw", "-L", "PREROUTING", "1", "-v", "-x", "-n")
		if err != nil {
			return 0, err
		}
		var packets uint64
		if _, err := fmt.Sscan(out, &packets); err != nil {
			return 0, fmt.Errorf("read counter of iptables from %q: %w", out, err)
		}
		return packets, nil
	}
	return nil
}

// writeIpset writes a set in the form that ipset saves and restores.
func writeIpset(w io.Writer, set traffic.Set) error {
	_, err := fmt.Fprintf(w, "create %s hash:ip family %s hashsize %d maxelem %d\n", setName, of(set, "inet", "inet6"), 1024, max(set.Bans, 1))
	if err != nil {
		return err
	}
	for i := range set.Bans {
		if _, err := fmt.Fprintf(w, "add %s %s\n", setName, set.Host(uint32(i))); err != nil {
			return err
		}
	}
	return nil
}

// temporary writes a file that has no name any more, for a tool to read as its input; it is gone when
// it is closed, whatever happens to this process.
func temporary(write func(io.Writer) error) (*os.File, error) {
	f, err := os.CreateTemp("", "gabion-bench-")
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = errors.Join(os.Remove(f.Name()), write(w), w.Flush())
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// feed runs a tool in a namespace on an input of any size.
func feed(ctx context.Context, ns *topology.Namespace, write func(io.Writer) error, tool string, args ...string) error {
	f, err := temporary(write)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = run(ctx, ns, f, tool, args...)
	return err
}

// hostText returns what a list of addresses looks like, one on each line.
func hostText(set traffic.Set) string {
	var b strings.Builder
	for i := range set.Bans {
		b.WriteString(set.Host(uint32(i)).String())
		b.WriteByte('\n')
	}
	return b.String()
}

// hostsIn yields the addresses of such a list. A line that is none ends it.
func hostsIn(text string) func(func(netip.Prefix) bool) {
	return func(yield func(netip.Prefix) bool) {
		for line := range strings.Lines(text) {
			a, err := netip.ParseAddr(strings.TrimSuffix(line, "\n"))
			if err != nil || !yield(netip.PrefixFrom(a, a.BitLen())) {
				return
			}
		}
	}
}
