package kernel

import (
	"context"
	"errors"
	"fmt"

	"gabion/bench/kernel/report"
	"gabion/bench/kernel/traffic"
)

// receives measures every receiver on one set.
func (b *bench) receives(ctx context.Context, set traffic.Set) (err error) {
	b.progress("receive: %s, %d %s bans: filling tables", set.Family, set.Bans, set.Name())
	bed, err := b.newBed(ctx, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bed.close()) }()
	samples := map[[2]string][]float64{}
	for rep := range b.Repetitions {
		b.progress("receive: %s, %d %s bans: repetition %d of %d", set.Family, set.Bans, set.Name(), rep+1, b.Repetitions)
		for _, mix := range mixesOf(set) {
			for _, r := range bed.receivers {
				if err := ctx.Err(); err != nil {
					return err
				}
				ns, err := bed.sample(r, mix, uint64(rep+1))
				if err != nil {
					return fmt.Errorf("measure %s: %w", r.name, err)
				}
				key := [2]string{mix.Name, r.name}
				samples[key] = append(samples[key], ns)
			}
		}
	}
	for _, r := range bed.receivers {
		if err := r.check(ctx); err != nil {
			return fmt.Errorf("check %s: %w", r.name, err)
		}
	}
	for _, mix := range mixesOf(set) {
		for _, r := range bed.receivers {
			median, lowest, highest := report.Spread(samples[[2]string{mix.Name, r.name}])
			b.report.Receive = append(b.report.Receive, report.Receive{
				Family: set.Family.String(), Receiver: r.name, Bans: set.Bans, Mix: mix.Name, Set: set.Name(),
				NS: report.Round(median, 1), Min: report.Round(lowest, 1), Max: report.Round(highest, 1),
			})
		}
	}
	return nil
}

// bed is everything that stands while one set is measured.
type bed struct {
	set       traffic.Set
	packets   int
	generator generator
	receivers []*receiver
	undo      []func() error
}

// receiver is something that drops frames.
type receiver struct {
	name   string
	port   *port
	frame  []byte
	oracle *traffic.Oracle
	banned uint64 // frames sent to it that it must find banned
	// dropped returns how many it found banned since it was prepared; nil: it does not count.
	dropped func(context.Context) (uint64, error)
}

func (b *bed) close() error {
	var errs []error
	for i := len(b.undo) - 1; i >= 0; i-- {
		errs = append(errs, b.undo[i]())
	}
	return errors.Join(errs...)
}

// newBed builds the network and makes every receiver ready.
func (b *bench) newBed(ctx context.Context, set traffic.Set) (_ *bed, err error) {
	out := &bed{set: set, packets: b.Packets}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.close())
		}
	}()
	kinds := b.receiverKinds()
	net, err := newNetwork(len(kinds))
	if err != nil {
		return nil, err
	}
	out.undo = append(out.undo, net.close)
	peers, err := loadPeersFor(set)
	if err != nil {
		return nil, err
	}
	out.undo = append(out.undo, peers.Close)
	thread, err := newPinned(net.top.Server.Path())
	if err != nil {
		return nil, err
	}
	out.undo = append(out.undo, func() error { thread.close(); return nil })
	out.generator = generator{thread: thread, prog: peers.Generate, jobs: peers.Jobs, set: set}
	for i, k := range kinds {
		b.progress("receive: %s, %d %s bans: filling tables of %s", set.Family, set.Bans, set.Name(), k.name)
		port, err := net.port(i)
		if err != nil {
			return nil, err
		}
		s := &setup{bench: b, set: set, peers: peers, port: port}
		r := &receiver{name: k.name, port: port, frame: frameTo(set.Family, port.mac), oracle: set.Oracle(false, nil)}
		err = k.prepare(ctx, s, r)
		out.undo = append(out.undo, s.undo...)
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", k.name, err)
		}
		out.receivers = append(out.receivers, r)
	}
	return out, nil
}

// How a sample is cut up: one run in advance warms the caches for the receiver, then runs with it and
// without it alternate. The medians of both are compared, so that what else happens on the machine
// for a moment, or to it when it is a virtual one, spoils a run and not the sample.
const runsPerSample = 4

// sample returns the cost of receiving one frame in ns.
func (b *bed) sample(r *receiver, mix traffic.Mix, seed uint64) (float64, error) {
	draw := b.set.Draw(mix, seed)
	alone := draw
	n := max(b.packets/runsPerSample, 1)
	if _, err := b.deliver(r, n, &draw); err != nil {
		return 0, err
	}
	var with, without []float64
	for range runsPerSample {
		base, err := b.generator.send(r.frame, 0, n, &alone)
		if err != nil {
			return 0, err
		}
		took, err := b.deliver(r, n, &draw)
		if err != nil {
			return 0, err
		}
		with, without = append(with, took), append(without, base)
	}
	total, _, _ := report.Spread(with)
	base, _, _ := report.Spread(without)
	return total - base, nil
}

// deliver sends n frames to a receiver and makes sure that all have arrived.
func (b *bed) deliver(r *receiver, n int, draw *traffic.Draw) (ns float64, err error) {
	expect := *draw
	before, err := r.port.received()
	if err != nil {
		return 0, err
	}
	if ns, err = b.generator.send(r.frame, r.port.far, n, draw); err != nil {
		return 0, err
	}
	after, err := r.port.received()
	if err != nil {
		return 0, err
	}
	r.banned += r.oracle.Packets(&expect, n)
	if got := after - before; got != uint64(n) || *draw != expect {
		return 0, fmt.Errorf("of %d frames %d arrived: the figures would mean nothing", n, got)
	}
	return ns, nil
}

// check compares what a receiver says that it dropped with what was banned of all frames it got.
func (r *receiver) check(ctx context.Context) error {
	if r.dropped == nil {
		return nil
	}
	got, err := r.dropped(ctx)
	if err != nil {
		return err
	}
	if got != r.banned {
		return fmt.Errorf("it found %d frames banned, but %d were: the figures would mean nothing", got, r.banned)
	}
	return nil
}
