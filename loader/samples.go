package loader

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"gabion/userspace/decision"
)

// SampleBytes is how much of a dropped packet a sample holds at most.
const SampleBytes = len(bpfDropSample{}.Data)

// MaxSampleRate is the highest rate that OpenSampler takes.
const MaxSampleRate = 100_000

// A request for samples is renewed long before it ends, and ends soon after its follower.
const (
	sampleLease = 5 * time.Second
	sampleRenew = time.Second
)

// samplesDir is locked by whoever follows samples. It stands for no data.
const samplesDir = "follower"

// DropReason is what dropped a packet.
type DropReason uint8

// Reasons, as the kernel writes them (bpf/gabion.h, enum drop_reason).
const (
	DroppedByBan DropReason = DropReason(bpfDropReasonDROPPED_BAN)
	// DroppedForTags says that a packet had more VLAN tags than are walked: its source is hidden.
	DroppedForTags DropReason = DropReason(bpfDropReasonDROPPED_TAGS)
	// DroppedByMeter says that a packet was above the limit of a meter.
	DroppedByMeter DropReason = DropReason(bpfDropReasonDROPPED_SHED)
)

// String returns "ban", "vlan tags" or "meter"; a reason that this binary does not know shows its number.
func (r DropReason) String() string {
	switch r {
	case DroppedByBan:
		return "ban"
	case DroppedForTags:
		return "vlan tags"
	case DroppedByMeter:
		return "meter"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Sample is a packet that was dropped.
type Sample struct {
	Time      time.Time
	Reason    DropReason
	Class     decision.Class // of the ban, with DroppedByBan
	Source    netip.Addr     // the zero Addr when it is not known
	Ifindex   int
	Interface string // empty when it is gone
	Length    int    // bytes of the packet as it was received
	Data      []byte // its first SampleBytes bytes, from the Ethernet header on; the receiver's own
}

// Sampler makes the kernel write samples of dropped packets, and reads them. While there is none,
// dropping costs no more than to see that. It belongs to one goroutine.
type Sampler struct {
	rate     uint32
	clock    Clock
	lock     *os.File // of samplesDir: the ring has one reader
	sampling *ebpf.Map
	samples  *ebpf.Map
	start    time.Duration // since boot: what is older was meant for another follower
	renewed  time.Duration // since boot
}

// OpenSampler begins to sample packets dropped by the data plane pinned below dir, with or without a
// daemon: at most rate of them per second, reason and CPU. It fails with ErrNotLoaded, ErrVersion or, when
// another process follows samples already, ErrFollowed.
func OpenSampler(dir string, rate uint32) (*Sampler, error) {
	if rate < 1 || rate > MaxSampleRate {
		return nil, fmt.Errorf("open sampler: rate %d: give 1 to %d samples per second", rate, MaxSampleRate)
	}
	o := Options{Dir: dir}.withDefaults()
	if _, err := os.Stat(o.Dir); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open sampler %s: %w: start the daemon first (gabion run)", o.Dir, ErrNotLoaded)
	}
	s := &Sampler{rate: rate, clock: o.Clock}
	if err := s.open(o.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open sampler %s: %w", o.Dir, err), s.release())
	}
	return s, nil
}

func (s *Sampler) open(dir string) error {
	spec, err := newSpec(Options{})
	if err != nil {
		return err
	}
	p := &Plane{dir: dir}
	if err := p.checkVersion(spec, nil); err != nil {
		return err
	}
	if err := s.takeLock(filepath.Join(dir, samplesDir)); err != nil {
		return err
	}
	for name, m := range map[string]**ebpf.Map{bpfMapSampling: &s.sampling, bpfMapSamples: &s.samples} {
		if *m, err = ebpf.LoadPinnedMap(filepath.Join(dir, name), nil); err != nil {
			return fmt.Errorf("open map %s: %w", name, err)
		}
	}
	_, s.start = s.clock()
	return s.renew()
}

func (s *Sampler) takeLock(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make directory to lock: %w", err)
	}
	lock, err := lockDir(dir)
	if errors.Is(err, ErrBusy) {
		return ErrFollowed
	}
	s.lock = lock
	return err
}

// renew asks for samples for another while.
func (s *Sampler) renew() error {
	_, boot := s.clock()
	if err := s.request(bpfSampling{Until: uint64(boot + sampleLease), Budget: s.rate}); err != nil {
		return err
	}
	s.renewed = boot
	return nil
}

func (s *Sampler) request(v bpfSampling) error {
	if err := s.sampling.Put(uint32(0), &v); err != nil {
		return fmt.Errorf("ask for samples: %w", err)
	}
	return nil
}

// Close ends sampling.
func (s *Sampler) Close() error {
	return errors.Join(s.request(bpfSampling{}), s.release())
}

func (s *Sampler) release() error {
	errs := []error{s.samples.Close(), s.sampling.Close()}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Run hands each sample to handle until ctx is done or handle fails. It returns nil, or the error of
// handle, or ErrNotLoaded when the data plane is removed meanwhile. While handle is busy samples wait in
// the kernel; those for which there is no room count as SamplesFull.
func (s *Sampler) Run(ctx context.Context, handle func(Sample) error) error {
	r, err := ringbuf.NewReader(s.samples)
	if err != nil {
		return fmt.Errorf("read samples: %w", err)
	}
	defer r.Close()
	// Closing is what makes a blocked read return.
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	var (
		rec   ringbuf.Record
		names = interfaceNames{}
	)
	for {
		if err := s.keepUp(r); err != nil {
			return err
		}
		err := r.ReadInto(&rec)
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return fmt.Errorf("read samples: %w", err)
		}
		sample, fresh, err := s.decode(rec.RawSample, names)
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		if err := handle(sample); err != nil {
			return err
		}
	}
}

// keepUp renews the request when it is time, and makes a read end when it will be.
func (s *Sampler) keepUp(r *ringbuf.Reader) error {
	wall, boot := s.clock()
	if boot-s.renewed >= sampleRenew {
		if err := s.checkRemoved(); err != nil {
			return err
		}
		if err := s.renew(); err != nil {
			return err
		}
	}
	r.SetDeadline(wall.Add(s.renewed + sampleRenew - boot))
	return nil
}

// checkRemoved looks whether the pins are still there: the maps in hand would stay, and stay empty.
func (s *Sampler) checkRemoved() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(s.lock.Fd()), &st); err != nil {
		return fmt.Errorf("look at pins: %w", err)
	}
	if st.Nlink == 0 {
		return fmt.Errorf("read samples: %w any more: its pins were removed", ErrNotLoaded)
	}
	return nil
}

// decode reads a record. It is not fresh when it is older than this sampler.
func (s *Sampler) decode(raw []byte, names interfaceNames) (sample Sample, fresh bool, err error) {
	var d bpfDropSample
	if _, err := binary.Decode(raw, binary.NativeEndian, &d); err != nil || int(d.Captured) > SampleBytes {
		return sample, false, fmt.Errorf("decode sample of %d bytes: %w", len(raw), errors.Join(err, ErrVersion))
	}
	sample = Sample{
		Time:      s.clock.wallTime(d.Time),
		Reason:    DropReason(d.Reason),
		Class:     decision.Class(d.Class),
		Ifindex:   int(d.Ifindex),
		Interface: names.lookup(int(d.Ifindex)),
		Length:    int(d.Len),
		Data:      append([]byte(nil), d.Data[:d.Captured]...),
	}
	if d.Family != 0 {
		sample.Source = netip.AddrFrom16(d.Source).Unmap()
	}
	return sample, time.Duration(d.Time) >= s.start, nil
}
