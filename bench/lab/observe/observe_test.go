package observe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"gabion/bench/lab/topology"
	"gabion/bench/packet"
	"gabion/userspace/decision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTable is a kernel map that bans what is put into it.
type fakeTable struct {
	mu     sync.Mutex
	banned map[netip.Prefix]bool
	looks  int
	err    error
}

func (f *fakeTable) BanHit(p netip.Prefix) (decision.Rule, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	return decision.Rule{Prefix: p}, f.banned[p], f.err
}

func (f *fakeTable) ban(p string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.banned[netip.MustParsePrefix(p)] = true
}

func TestALikelyBanIsSeenWithinOnePollAndAnyOtherSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &fakeTable{banned: map[netip.Prefix]bool{}}
		var seen []netip.Addr
		w := NewWatcher(table, time.Now, func(s *Sighting) { seen = append(seen, s.Addr) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Run(ctx) }()

		four, six := w.Await(netip.MustParseAddr("192.0.2.1")), w.Await(netip.MustParseAddr("2001:db8::1"))
		time.Sleep(10 * time.Millisecond)
		at := time.Now()
		table.ban("192.0.2.1/32")
		<-four.Banned
		if late := four.At.Sub(at); late > Idle {
			t.Errorf("seen after %s", late)
		}
		six.Hurry()
		at = time.Now()
		time.Sleep(likely / 2)
		table.ban("2001:db8::1/128")
		<-six.Banned
		if late := six.At.Sub(at) - likely/2; late > Poll {
			t.Errorf("a likely ban seen after %s", late)
		}
		synctest.Wait()
		table.mu.Lock()
		before := table.looks
		table.mu.Unlock()
		time.Sleep(time.Hour)
		table.mu.Lock()
		if table.looks != before {
			t.Errorf("%d lookups while nothing is awaited", table.looks-before)
		}
		table.mu.Unlock()
		cancel()
		<-done
		if len(seen) != 2 || w.Err() != nil {
			t.Errorf("seen %v, err %v", seen, w.Err())
		}
	})
}

func TestAFailedLookupIsKeptAndTheWatchGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("map is gone")
		table := &fakeTable{banned: map[netip.Prefix]bool{}, err: broken}
		w := NewWatcher(table, time.Now, func(*Sighting) {})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Run(ctx) }()
		s := w.Await(netip.MustParseAddr("192.0.2.1"))
		time.Sleep(2 * Idle)
		fixed := &fakeTable{banned: map[netip.Prefix]bool{}}
		fixed.ban("192.0.2.1/32")
		w.Use(fixed)
		<-s.Banned
		cancel()
		<-done
		if !errors.Is(w.Err(), broken) {
			t.Errorf("err = %v", w.Err())
		}
	})
}

func TestPacketsAfterABanAreCountedApart(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to create network namespaces")
	}
	top, err := topology.Build(topology.Plan{Spokes: []topology.Spoke{{
		Role:     "attacker",
		Gateways: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24"), netip.MustParsePrefix("2001:db8:a::1/64")},
		Hosts:    []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:a::7")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := top.Close(); err != nil {
			t.Error(err)
		}
		top.Release()
	}()
	var tap *Tap
	if err := top.Server.Do(func() (err error) { tap, err = OpenTap(top.Interfaces[0], netip.Prefix{}); return err }); err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	four, six := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:a::7")
	// UDP to a closed port: the packet arrives, and nothing else follows.
	send := func(from netip.Addr, to string, n int) {
		err := top.Spokes["attacker"].Do(func() error {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
			if err != nil {
				return err
			}
			defer c.Close()
			for range n {
				if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(to)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	send(four, "198.51.100.1:9", 3)
	send(six, "[2001:db8:a::1]:9", 3)
	Quiesce()
	tap.Banned(four, time.Now)
	send(four, "198.51.100.1:9", 4)
	send(six, "[2001:db8:a::1]:9", 4)
	mustArrive(t, tap, four, 3, 4)
	if before, after := tap.Arrived(six); before == 0 || after != 0 {
		t.Errorf("IPv6: %d before and %d after a ban that never was", before, after)
	}
	if lost, err := tap.Lost(); lost != 0 || err != nil {
		t.Errorf("lost %d, %v", lost, err)
	}
}

func TestOnlyFirstPacketsOfConnectionsAreSYNs(t *testing.T) {
	four := func(flags packet.Flags) []byte {
		return packet.TCP(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("203.0.113.1:80"), flags)[14:]
	}
	six := func(flags packet.Flags) []byte {
		return packet.TCP(netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8:5::1]:80"), flags)[14:]
	}
	for _, tt := range []struct {
		name   string
		proto  uint16
		packet []byte
		src    string
		syn    bool
	}{
		{"a SYN", unix.ETH_P_IP, four(packet.SYN), "192.0.2.1", true},
		{"an answer to one", unix.ETH_P_IP, four(packet.SYN | packet.ACK), "192.0.2.1", false},
		{"data", unix.ETH_P_IP, four(packet.ACK), "192.0.2.1", false},
		{"a SYN over IPv6", unix.ETH_P_IPV6, six(packet.SYN), "2001:db8::1", true},
		{"data over IPv6", unix.ETH_P_IPV6, six(packet.ACK), "2001:db8::1", false},
		{"a SYN that is cut off", unix.ETH_P_IP, four(packet.SYN)[:33], "192.0.2.1", false},
		{"half an IP header", unix.ETH_P_IP, four(packet.SYN)[:19], "", false},
		{"no IP", unix.ETH_P_ARP, four(packet.SYN), "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, syn, ok := inspect(tt.proto, tt.packet)
			if ok != (tt.src != "") || ok && src.String() != tt.src || syn != tt.syn {
				t.Errorf("got %s, SYN %v, %v; want %s, SYN %v", src, syn, ok, tt.src, tt.syn)
			}
		})
	}
}

// mustArrive waits until the tap has read as many packets, and fails when it counts them otherwise.
func mustArrive(t *testing.T, tap *Tap, src netip.Addr, before, after uint64) {
	t.Helper()
	for tries := 0; ; tries++ {
		b, a := tap.Arrived(src)
		if b+a < before+after && tries < 1000 {
			time.Sleep(time.Millisecond)
			continue
		}
		if b != before || a != after {
			t.Errorf("%s: %d before and %d after, want %d and %d", src, b, a, before, after)
		}
		return
	}
}
