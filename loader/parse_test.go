package loader

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"gabion/loader/model"
)

// Values of enum parsed in bpf/packet.h.
const (
	parsedOK         = 0
	parsedNotIP      = 1
	parsedTruncated  = 2
	parsedMalformed  = 3
	parsedOvertagged = 4
)

// parsed is what bpf/packet.h found in a frame.
type parsed struct {
	Outcome      uint32
	ExtLimit     bool
	Source       string
	Proto        uint8
	Ports        bool
	Sport, Dport uint16
	Syn, Ack     bool
	ICMP         uint8
	Later, Tiny  bool
}

// mustLoadTest loads the test object with tables of its own.
func mustLoadTest(t testing.TB) *testbpfObjects {
	t.Helper()
	needRoot(t)
	return mustBindTest(t, mustOpen(t, small(pinDir(t))), nil)
}

// mustBindTest loads the test object on the tables of a plane. Prepare, unless nil, may change what is
// loaded: a map taken out of plane is one of the object's.
func mustBindTest(t testing.TB, p *Plane, prepare func(spec *ebpf.CollectionSpec, plane map[string]*ebpf.Map)) *testbpfObjects {
	t.Helper()
	spec, err := loadTestbpf()
	if err != nil {
		t.Fatal(err)
	}
	maps, err := p.Bind(spec)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(spec, maps)
	}
	var objs testbpfObjects
	if err := spec.LoadAndAssign(&objs, &ebpf.CollectionOptions{MapReplacements: maps}); err != nil {
		t.Fatalf("load test object: %+v", err)
	}
	t.Cleanup(func() { objs.Close() })
	return &objs
}

func mustRun(t testing.TB, prog *ebpf.Program, data []byte) uint32 {
	t.Helper()
	ret, err := prog.Run(&ebpf.RunOptions{Data: data})
	if err != nil {
		t.Fatalf("run test packet: %v", err)
	}
	return ret
}

func mustParse(t testing.TB, objs *testbpfObjects, data []byte) parsed {
	t.Helper()
	if ret := mustRun(t, objs.TestParse, data); ret != xdpPass {
		t.Fatalf("parser program returned %d", ret)
	}
	var r testbpfParseResult
	if err := objs.Results.Lookup(uint32(0), &r); err != nil {
		t.Fatal(err)
	}
	got := parsed{
		Outcome: r.Outcome, ExtLimit: r.ExtLimit == 1, Proto: r.Pkt.L4Proto, Ports: r.Pkt.HasPorts == 1,
		Sport: swap(r.Pkt.Sport), Dport: swap(r.Pkt.Dport),
		Syn: r.Pkt.TcpFlags&synFlag != 0, Ack: r.Pkt.TcpFlags&ackFlag != 0, ICMP: r.Pkt.IcmpType, Later: r.Pkt.LaterFragment == 1, Tiny: r.Tiny == 1,
	}
	switch r.Pkt.Family {
	case 4:
		got.Source = netip.AddrFrom4([4]byte(r.Pkt.Saddr[:4])).String()
	case 6:
		got.Source = netip.AddrFrom16(r.Pkt.Saddr).String()
	}
	return got
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

// wants says what the parser is to find in the whole frame.
func (s shape) wants() parsed {
	want := s.want
	switch s.outcome {
	case model.NonIP:
		want.Outcome = parsedNotIP
	case model.Malformed:
		want.Outcome = parsedMalformed
	case model.TooManyTags:
		want.Outcome = parsedOvertagged
	default:
		want.Outcome, want.Source = parsedOK, s.source()
	}
	return want
}

func TestEveryHeaderCombinationIsParsed(t *testing.T) {
	objs := mustLoadTest(t)
	for _, s := range traffic() {
		t.Run(s.name, func(t *testing.T) {
			if diff := cmp.Diff(s.wants(), mustParse(t, objs, s.from(s.source()))); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
		})
	}
}

// A frame cut at any byte must be judged by what is left of it: the source once that is complete, the
// ports once the transport header is.
func TestAFrameCutAtAnyByteIsParsedAsFarAsItGoes(t *testing.T) {
	objs := mustLoadTest(t)
	for _, s := range traffic() {
		t.Run(s.name, func(t *testing.T) {
			whole := s.from(s.source())
			ports := s.ports
			if ports == 0 {
				ports = len(whole)
			}
			for n := minFrame; n < len(whole); n++ {
				got, want := mustParse(t, objs, whole[:n]), s.wants()
				switch {
				case n < s.known:
					want = parsed{Outcome: parsedTruncated}
				case n < ports && want.Ports:
					want = parsed{Source: want.Source, Proto: got.Proto}
				case !want.Ports && got != want:
					// What follows the source is found bit by bit; none of it is ports.
					want = parsed{Source: want.Source, Proto: got.Proto}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%d of %d bytes parsed (-want +got):\n%s", n, len(whole), diff)
				}
			}
		})
	}
}
