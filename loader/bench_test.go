package loader

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"gabion/bench/packet"
	"gabion/userspace/decision"
	"gabion/userspace/meter"
)

// mustManyBans opens a plane in which so many addresses are banned, and the same number of IPv6 ones.
func mustManyBans(b *testing.B, n int) *Plane {
	b.Helper()
	p := mustOpen(b, Options{Dir: pinDir(b), MaxBans: uint32(n + 16), MaxAllows: 64})
	rules := make([]decision.Rule, 0, 2*n)
	for i := range n {
		// Scattered over everything, as real lists are: the depth of the trie is what costs.
		var four [4]byte
		six := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint32(four[:], uint32(i)*2654435761)
		copy(six[4:], four[:])
		for _, a := range []netip.Addr{netip.AddrFrom4(four), netip.AddrFrom16(six)} {
			rules = append(rules, decision.Rule{Prefix: netip.PrefixFrom(a, a.BitLen()), DecisionID: 1, Until: inAnHour()})
		}
	}
	mustBan(b, p, rules...)
	mustBan(b, p, ban("192.0.2.1/32", decision.ClassBan, inAnHour()), ban("192.0.2.2/32", decision.ClassBan, inAnHour()),
		ban("2001:db8::1/128", decision.ClassBan, inAnHour()))
	mustAllow(b, p, "192.0.2.2/32")
	if err := p.SetMeters([]*meter.Meter{connections(1 << 27)}); err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkPacket reports what the kernel's own timer says a packet costs in the XDP program.
func BenchmarkPacket(b *testing.B) {
	from := func(src string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(src), 4242) }
	to4, to6 := from("198.51.100.254"), from("2001:db8::fe")
	for _, bans := range []int{0, 1000, 100_000} {
		p := mustManyBans(b, bans)
		for _, bb := range []struct {
			name  string
			frame []byte
			want  string
		}{
			{"clean v4 udp", packet.UDP(from("198.51.100.1"), to4), "passed"},
			{"clean v4 ack", packet.TCP(from("198.51.100.1"), to4, packet.ACK), "passed"},
			{"clean v4 syn", packet.TCP(from("198.51.100.1"), to4, packet.SYN), "passed"},
			{"clean v6 udp", packet.UDP(from("2001:db8::2"), to6), "passed"},
			{"banned v4", packet.UDP(from("192.0.2.1"), to4), "dropped"},
			{"allowed v4", packet.UDP(from("192.0.2.2"), to4), "allowed"},
			{"banned v6", packet.UDP(from("2001:db8::1"), to6), "dropped"},
		} {
			b.Run(fmt.Sprintf("%d bans/%s", bans, bb.name), func(b *testing.B) {
				if got := mustVerdict(b, p, bb.frame).Reason; got != bb.want {
					b.Fatalf("the packet is %s, want %s", got, bb.want)
				}
				_, took, err := p.xdp.Benchmark(bb.frame, b.N, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(took.Nanoseconds()), "ns/packet")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkPrefixes reports what a lookup costs with 60,000 banned /24s, for sources in a row that the
// processor cannot foresee.
func BenchmarkPrefixes(b *testing.B) {
	const prefixes = 60_000
	random := rand.New(rand.NewPCG(1, 0))
	p := mustOpen(b, Options{Dir: pinDir(b)})
	var bans []decision.Rule
	var inside, outside []target
	for i := range prefixes {
		var four [4]byte
		binary.BigEndian.PutUint32(four[:], uint32(i)*2654435761)
		prefix := netip.PrefixFrom(netip.AddrFrom4(four), 24).Masked()
		bans = append(bans, decision.Rule{Prefix: prefix, DecisionID: 1, Until: inAnHour()})
		four[3] = byte(random.Uint32())
		inside = append(inside, target{netip.AddrFrom4(four), true})
		four[2]++ // some of these are in another prefix, which is counted as a violation and nothing else
		outside = append(outside, target{netip.AddrFrom4(four), false})
	}
	mustBan(b, p, bans...)
	batch := mustLoadBatch(b, p, prefixes, readsPerRun)
	for _, bb := range []struct {
		name    string
		targets []target
		table   bool
	}{
		{"source inside/trie", inside, false},
		{"source inside/table", inside, true},
		{"source beside/trie", outside, false},
		{"source beside/table", outside, true},
	} {
		b.Run(bb.name, func(b *testing.B) {
			mustUseNets(b, p, bb.table)
			random.Shuffle(prefixes, func(i, j int) { bb.targets[i], bb.targets[j] = bb.targets[j], bb.targets[i] })
			mustSetTargets(b, batch, bb.targets)
			_, took, err := batch.objs.TestRead.Benchmark(make([]byte, batchIdle), b.N, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(took.Nanoseconds())/readsPerRun, "ns/lookup")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkLoad puts a list of a million hosts in force: as bans that are given back after a restart, and
// as a list that takes the place of none.
func BenchmarkLoad(b *testing.B) {
	const hosts = 1_000_000
	rules := make([]decision.Rule, 0, hosts)
	random := rand.New(rand.NewPCG(2, 0))
	until := inAnHour()
	for range hosts {
		var four [4]byte
		binary.BigEndian.PutUint32(four[:], random.Uint32()|1<<24)
		rules = append(rules, decision.Rule{Prefix: netip.PrefixFrom(netip.AddrFrom4(four), 32), DecisionID: 1, Until: until})
	}
	for _, bb := range []struct {
		name string
		load func(*Plane) error
	}{
		{"ban", func(p *Plane) error { return p.Ban(rules) }},
		{"swap", func(p *Plane) error { return p.Swap(len(rules), slices.Values(rules), nil) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				p := mustOpen(b, Options{Dir: pinDir(b), MaxBans: hosts + 16})
				b.StartTimer()
				if err := bb.load(p); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := p.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
