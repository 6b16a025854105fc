package kernel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"gabion/bench/kernel/traffic"
	"gabion/bench/lab/topology"
	"gabion/loader"
	"gabion/userspace/decision"
)

const (
	chunk   = 8192    // entries that one system call writes
	forever = 1 << 62 // an end that is not reached, in ns and in jiffies
)

// hosts yields the banned hosts of a set.
func hosts(s traffic.Set) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for i := range s.Bans {
			a := s.Host(uint32(i))
			if !yield(netip.PrefixFrom(a, a.BitLen())) {
				return
			}
		}
	}
}

// networks yields the banned networks of a set.
func networks(s traffic.Set) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for i := range traffic.Networks {
			if !yield(s.Network(i)) {
				return
			}
		}
	}
}

// allows yields the allow entries of a set.
func allows(s traffic.Set) iter.Seq[netip.Prefix] { return slices.Values(s.Allows()) }

// all yields what hosts and networks yield.
func all(s traffic.Set) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for p := range hosts(s) {
			if !yield(p) {
				return
			}
		}
		networks(s)(yield)
	}
}

// Keys of the tries and hash tables.
type (
	trie4 struct {
		Bits uint32
		Addr [4]byte
	}
	trie6 struct {
		Bits uint32
		Addr [16]byte
	}
)

// fillTrie puts prefixes of one family into an LPM trie.
func fillTrie(ctx context.Context, m *ebpf.Map, f traffic.Family, prefixes iter.Seq[netip.Prefix]) error {
	if f == traffic.IPv4 {
		return fill(ctx, m, prefixes, forever, func(p netip.Prefix) trie4 { return trie4{uint32(p.Bits()), p.Addr().As4()} })
	}
	return fill(ctx, m, prefixes, forever, func(p netip.Prefix) trie6 { return trie6{uint32(p.Bits()), p.Addr().As16()} })
}

// fillHash puts hosts of one family into a hash table whose keys are addresses.
func fillHash(ctx context.Context, m *ebpf.Map, f traffic.Family, prefixes iter.Seq[netip.Prefix], value uint64) error {
	if f == traffic.IPv4 {
		return fill(ctx, m, prefixes, value, func(p netip.Prefix) [4]byte { return p.Addr().As4() })
	}
	return fill(ctx, m, prefixes, value, func(p netip.Prefix) [16]byte { return p.Addr().As16() })
}

// fill gives every key the same value, once for each CPU where the map asks for that.
func fill[K any](ctx context.Context, m *ebpf.Map, prefixes iter.Seq[netip.Prefix], value uint64, key func(netip.Prefix) K) error {
	perEntry := 1
	if m.Type() == ebpf.PerCPUHash {
		var err error
		if perEntry, err = ebpf.PossibleCPU(); err != nil {
			return err
		}
	}
	values := slices.Repeat([]uint64{value}, chunk*perEntry)
	keys := make([]K, 0, chunk)
	flush := func() error {
		if len(keys) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := m.BatchUpdate(keys, values[:len(keys)*perEntry], nil); err != nil {
			return fmt.Errorf("fill %s: %w", m, err)
		}
		keys = keys[:0]
		return nil
	}
	for p := range prefixes {
		if keys = append(keys, key(p)); len(keys) == chunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// plane is a data plane of gabion's under a directory of its own.
type plane struct {
	*loader.Plane
	dir string
}

const (
	bpffs     = "/sys/fs/bpf"
	dirPrefix = "gabion-bench-" // followed by the number of the process
)

// openPlane makes an empty data plane with room for so many bans.
func openPlane(bans int) (*plane, error) {
	dir := filepath.Join(bpffs, dirPrefix+strconv.Itoa(os.Getpid()))
	p, err := loader.Open(loader.Options{
		Dir: dir, MaxBans: uint32(bans + 2*traffic.Networks), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	return &plane{Plane: p, dir: dir}, nil
}

// removeStalePlanes removes what benchmarks have left that were killed.
func removeStalePlanes() error {
	dirs, err := filepath.Glob(filepath.Join(bpffs, dirPrefix+"*"))
	for _, dir := range dirs {
		pid, notANumber := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), dirPrefix))
		if notANumber == nil && !topology.Alive(pid) {
			err = errors.Join(err, loader.Remove(dir))
		}
	}
	return err
}

// close removes everything.
func (p *plane) close() error {
	return errors.Join(p.Plane.Close(), loader.Remove(p.dir))
}

// ban puts prefixes in force until long after the benchmark, as a list that takes the place of none.
func (p *plane) ban(prefixes iter.Seq[netip.Prefix], size int, until time.Time) error {
	return p.Swap(size, func(yield func(decision.Rule) bool) {
		for prefix := range prefixes {
			if !yield(decision.Rule{Prefix: prefix, DecisionID: 1, Until: until}) {
				return
			}
		}
	}, nil)
}

// fillWith bans a set's hosts and networks and allows its allow entries.
func (p *plane) fillWith(s traffic.Set, until time.Time) error {
	if err := p.ban(all(s), s.Bans+traffic.Networks, until); err != nil {
		return err
	}
	var allows []decision.Allow
	for _, prefix := range s.Allows() {
		allows = append(allows, decision.Allow{Prefix: prefix, Reason: decision.AllowUser})
	}
	return p.Allow(allows)
}
