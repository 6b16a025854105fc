package kernel

import (
	"context"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"gabion/bench/kernel/report"
	"gabion/bench/kernel/traffic"
)

// layout is one way to look a source up.
type layout struct {
	name string
	prog *ebpf.Program
}

// lookupChunks is how many times a sample runs its loop; the first of them only warms the caches.
const lookupChunks = 5

// lookups measures every layout on one set.
func (b *bench) lookups(ctx context.Context, set traffic.Set) (err error) {
	b.progress("lookup: %s, %d %s bans: filling tables", set.Family, set.Bans, set.Name())
	peers, err := loadPeersFor(set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peers.Close()) }()
	plane, err := openPlane(set.Bans)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.close()) }()
	own, err := loadShipped(plane, peers.Jobs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	err = errors.Join(
		plane.ban(all(set), set.Bans+traffic.Networks, b.until()),
		fillTrie(ctx, of(set, peers.Deny4, peers.Deny6), set.Family, all(set)),
		fillHash(ctx, of(set, peers.Hosts4, peers.Hosts6), set.Family, hosts(set), forever),
		fillTrie(ctx, of(set, peers.Nets4, peers.Nets6), set.Family, networks(set)))
	if err != nil {
		return err
	}
	t, err := newPinned("")
	if err != nil {
		return err
	}
	defer t.close()
	l := &lookupRun{
		thread: t, jobs: peers.Jobs, set: set, rounds: b.Rounds, oracle: set.Oracle(true, nil),
		empty: of(set, peers.LookupEmpty4, peers.LookupEmpty6),
		layouts: []layout{
			{"gabion", of(set, own.Lookup4, own.Lookup6)},
			{"lpm", of(set, peers.LookupLpm4, peers.LookupLpm6)},
			{"hash_lpm", of(set, peers.LookupHash4, peers.LookupHash6)},
		},
	}
	return b.repeatLookups(ctx, l)
}

// repeatLookups takes all samples, every layout within each repetition, and reports them.
func (b *bench) repeatLookups(ctx context.Context, l *lookupRun) error {
	samples := map[[2]string][]float64{}
	for rep := range b.Repetitions {
		b.progress("lookup: %s, %d %s bans: repetition %d of %d", l.set.Family, l.set.Bans, l.set.Name(), rep+1, b.Repetitions)
		for _, mix := range mixesOf(l.set) {
			for _, layout := range l.layouts {
				if err := ctx.Err(); err != nil {
					return err
				}
				ns, err := l.sample(layout, mix, uint64(rep+1))
				if err != nil {
					return err
				}
				key := [2]string{mix.Name, layout.name}
				samples[key] = append(samples[key], ns)
			}
		}
	}
	for _, mix := range mixesOf(l.set) {
		for _, layout := range l.layouts {
			median, lowest, highest := report.Spread(samples[[2]string{mix.Name, layout.name}])
			b.report.Lookup = append(b.report.Lookup, report.Lookup{
				Family: l.set.Family.String(), Bans: l.set.Bans, Mix: mix.Name, Layout: layout.name, Set: l.set.Name(),
				NS: report.Round(median, 2), Min: report.Round(lowest, 2), Max: report.Round(highest, 2),
			})
		}
	}
	return nil
}

// mixesOf leaves out what makes no sense without bans.
func mixesOf(s traffic.Set) []traffic.Mix {
	var out []traffic.Mix
	for _, m := range traffic.Mixes() {
		if s.Bans > 0 || !m.NeedsBans() {
			out = append(out, m)
		}
	}
	return out
}

// lookupRun is what all samples of one set share.
type lookupRun struct {
	thread  *pinned
	jobs    *ebpf.Map
	set     traffic.Set
	rounds  int // lookups of one loop
	oracle  *traffic.Oracle
	empty   *ebpf.Program
	layouts []layout
}

// sample returns the cost of a lookup in ns. An empty loop runs right before each of the layout's, so
// that a change of the CPU's speed falls on both.
func (l *lookupRun) sample(of layout, mix traffic.Mix, seed uint64) (float64, error) {
	var ns float64
	draw := l.set.Draw(mix, seed)
	empty := draw
	for i := range lookupChunks {
		base, err := l.loop(l.empty, &empty)
		if err != nil {
			return 0, fmt.Errorf("measure empty loop: %w", err)
		}
		expect := draw
		banned := l.oracle.Lookups(&expect, l.rounds)
		job, err := l.loop(of.prog, &draw)
		if err != nil {
			return 0, fmt.Errorf("measure lookup of %s: %w", of.name, err)
		}
		if job.Found != banned || draw.State != expect.State {
			return 0, fmt.Errorf("measure lookup of %s: of %d sources (%s, mix %s) it finds %d banned, but %d are: the figures would mean nothing",
				of.name, l.rounds, l.set.Family, mix.Name, job.Found, banned)
		}
		if i > 0 {
			ns += float64(job.Ns) - float64(base.Ns)
		}
	}
	return ns / float64((lookupChunks-1)*l.rounds), nil
}

// loop runs a program once and moves draw on to where the program left it.
func (l *lookupRun) loop(prog *ebpf.Program, draw *traffic.Draw) (peersJob, error) {
	job := jobOf(l.set, draw)
	job.Rounds = uint32(l.rounds)
	if err := l.jobs.Put(uint32(0), &job); err != nil {
		return job, err
	}
	err := l.thread.do(func() error {
		_, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
		return err
	})
	if err != nil {
		return job, err
	}
	if err := l.jobs.Lookup(uint32(0), &job); err != nil {
		return job, err
	}
	draw.State = job.Draw.State
	return job, nil
}

// jobOf asks for a draw.
func jobOf(s traffic.Set, d *traffic.Draw) (job peersJob) {
	job.Draw.State, job.Draw.Share, job.Draw.Banned, job.Draw.FirstClean = d.State, d.Share, d.Banned, d.FirstClean
	if s.Clustered {
		job.Draw.Clustered = 1
	}
	return job
}
