package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cilium/ebpf"

	"gabion/bench/kernel/report"
	"gabion/bench/kernel/traffic"
)

const (
	// loadRepetitions is enough for something that takes a second, and largeSet is where once is.
	loadRepetitions = 3
	largeSet        = 4_000_000
)

// structure is something that holds a set of banned hosts.
type structure struct {
	name  string
	needs []need
	// prepare does what is not timed and returns what is. Everything that was made is in l.undo.
	prepare func(ctx context.Context, l *loading) (load func() error, err error)
}

// loading is one load of one structure.
type loading struct {
	bench *bench
	set   traffic.Set
	text  string // the hosts, one on a line
	port  *port  // where tools work
	undo  []func() error
	fixed int64 // bytes of tables that serve the set but stood before
}

// structures returns those whose needs are met; the notes name the others.
func (b *bench) structures() []structure {
	var out []structure
	for _, s := range []structure{
		{"gabion", nil, prepareLoadGabion},
		{"lpm", nil, prepareLoadTrie},
		{"hash", nil, prepareLoadHash},
		{"ipset", []need{{toolIpset, "ipset"}}, prepareLoadIpset},
		{"nft", []need{{toolNft, "nftables"}}, prepareLoadNft},
	} {
		if b.met(PartLoad, s.name, s.needs) {
			out = append(out, s)
		}
	}
	return out
}

// loads measures filling every structure with one set.
func (b *bench) loads(ctx context.Context, set traffic.Set) (err error) {
	if set.Bans == 0 {
		return nil
	}
	net, err := newNetwork(1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, net.close()) }()
	port, err := net.port(0)
	if err != nil {
		return err
	}
	text := hostText(set)
	times, sizes := map[string][]float64{}, map[string][]float64{}
	repetitions := min(b.Repetitions, loadRepetitions)
	if set.Bans > largeSet {
		repetitions = 1
	}
	structures := b.structures()
	for rep := range repetitions {
		for _, s := range structures {
			b.progress("load: %s, %d %s bans: %s, repetition %d of %d", set.Family, set.Bans, set.Name(), s.name, rep+1, repetitions)
			took, grown, err := loadOnce(ctx, s, &loading{bench: b, set: set, text: text, port: port})
			if err != nil {
				return fmt.Errorf("load %s: %w", s.name, err)
			}
			times[s.name] = append(times[s.name], took.Seconds())
			sizes[s.name] = append(sizes[s.name], float64(grown))
		}
	}
	for _, s := range structures {
		median, lowest, highest := report.Spread(times[s.name])
		bytes, _, _ := report.Spread(sizes[s.name])
		b.report.Load = append(b.report.Load, report.Load{
			Family: set.Family.String(), Structure: s.name, Entries: set.Bans, Set: set.Name(), Bytes: int64(bytes),
			Seconds: report.Round(median, 5), Min: report.Round(lowest, 5), Max: report.Round(highest, 5),
		})
	}
	return nil
}

// loadOnce loads a structure, removes it again and waits until it is gone.
func loadOnce(ctx context.Context, s structure, l *loading) (took time.Duration, grown int64, err error) {
	took, before, after, err := l.measure(ctx, s)
	for i := len(l.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, l.undo[i]())
	}
	if err != nil {
		return 0, 0, err
	}
	const slack = 1 << 20
	return took, after - before + l.fixed, l.bench.awaitRelease(ctx, before+(after-before)/16+slack)
}

func (l *loading) measure(ctx context.Context, s structure) (took time.Duration, before, after int64, err error) {
	load, err := s.prepare(ctx, l)
	if err != nil {
		return 0, 0, 0, err
	}
	if before, err = l.bench.settledMemory(ctx); err != nil {
		return 0, 0, 0, err
	}
	begin := l.bench.Now()
	if err := load(); err != nil {
		return 0, 0, 0, err
	}
	took = l.bench.Now().Sub(begin)
	after, err = l.bench.settledMemory(ctx)
	return took, before, after, err
}

func prepareLoadGabion(_ context.Context, l *loading) (func() error, error) {
	p, err := openPlane(l.set.Bans)
	if err != nil {
		return nil, err
	}
	l.undo = append(l.undo, p.close)
	if l.fixed, err = p.fixedTables(l.set.Family); err != nil {
		return nil, err
	}
	return func() error { return p.ban(hostsIn(l.text), l.set.Bans, l.bench.until()) }, nil
}

func prepareLoadTrie(ctx context.Context, l *loading) (func() error, error) {
	return l.intoMap(familyName("deny", l.set), func(m *ebpf.Map) error {
		return fillTrie(ctx, m, l.set.Family, hostsIn(l.text))
	})
}

func prepareLoadHash(ctx context.Context, l *loading) (func() error, error) {
	return l.intoMap(familyName("hosts", l.set), func(m *ebpf.Map) error {
		return fillHash(ctx, m, l.set.Family, hostsIn(l.text), forever)
	})
}

// intoMap makes a map and fills it: the making is part of it, as it takes a preallocated table most
// of its memory.
func (l *loading) intoMap(name string, fill func(*ebpf.Map) error) (func() error, error) {
	spec, err := loadPeers()
	if err != nil {
		return nil, err
	}
	spec.Maps[name].MaxEntries = uint32(l.set.Bans)
	return func() error {
		m, err := ebpf.NewMap(spec.Maps[name])
		if err != nil {
			return err
		}
		l.undo = append(l.undo, m.Close)
		return fill(m)
	}, nil
}

func prepareLoadIpset(ctx context.Context, l *loading) (func() error, error) {
	ipset, err := find(toolIpset)
	if err != nil {
		return nil, err
	}
	file, err := l.file(func(w io.Writer) error { return writeIpset(w, l.set) })
	if err != nil {
		return nil, err
	}
	return func() error {
		l.undo = append(l.undo, func() error {
			_, err := run(context.WithoutCancel(ctx), l.port.ns, nil, ipset, "destroy")
			return err
		})
		_, err := run(ctx, l.port.ns, file, ipset, "restore")
		return err
	}, nil
}

func prepareLoadNft(ctx context.Context, l *loading) (func() error, error) {
	nft, err := find(toolNft)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for from := 0; from < l.set.Bans; from += nftBatch {
		file, err := l.file(func(w io.Writer) error {
			if from == 0 {
				if _, err := io.WriteString(w, nftSetScript("inet", l.set)); err != nil {
					return err
				}
			}
			return writeNft(w, "inet", l.set, from, min(from+nftBatch, l.set.Bans))
		})
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return func() error {
		l.undo = append(l.undo, func() error {
			_, err := run(context.WithoutCancel(ctx), l.port.ns, nil, nft, "flush", "ruleset")
			return err
		})
		for _, file := range files {
			if _, err := run(ctx, l.port.ns, file, nft, "-f", "-"); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// file writes a tool's input, which goes when the loading does.
func (l *loading) file(write func(io.Writer) error) (*os.File, error) {
	f, err := temporary(write)
	if err == nil {
		l.undo = append(l.undo, f.Close)
	}
	return f, err
}
