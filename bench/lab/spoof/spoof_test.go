package spoof

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gabion/bench/lab/observe"
	"gabion/bench/lab/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryFrameIsASYNFromASourceOfItsOwn(t *testing.T) {
	gateway := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	f := New(netip.MustParsePrefix("198.18.0.0/15"), 1000, netip.MustParseAddrPort("203.0.113.1:80"), gateway)
	seen := map[netip.Addr]bool{}
	for _, frame := range f.frames {
		if net.HardwareAddr(frame[:6]).String() != gateway.String() {
			t.Fatalf("frame for %x", frame[:6])
		}
		ip := frame[14:]
		src := netip.AddrFrom4([4]byte(ip[12:16]))
		if seen[src] || !netip.MustParsePrefix("198.18.0.0/15").Contains(src) {
			t.Fatalf("source %s twice, or of another network", src)
		}
		seen[src] = true
		if ip[9] != 6 || ip[33] != 0x02 || ip[22] != 0 || ip[23] != 80 || netip.AddrFrom4([4]byte(ip[16:20])) != netip.MustParseAddr("203.0.113.1") {
			t.Fatalf("frame %x is no SYN to 203.0.113.1:80", frame)
		}
	}
}

func TestAFloodArrivesOnTheOtherEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to create network namespaces")
	}
	sources := netip.MustParsePrefix("198.18.0.0/15")
	top, err := topology.Build(topology.Plan{Spokes: []topology.Spoke{{
		Role: "attacker", Gateways: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")},
		Hosts: []netip.Addr{netip.MustParseAddr("198.51.100.7")}, Behind: []netip.Prefix{sources},
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
	var tap *observe.Tap
	var gateway net.HardwareAddr
	err = top.Server.Do(func() (err error) {
		link, err := net.InterfaceByName(top.Interfaces[0])
		if err != nil {
			return err
		}
		gateway = link.HardwareAddr
		tap, err = observe.OpenTap(top.Interfaces[0], sources)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	f := New(sources, 300, netip.MustParseAddrPort("198.51.100.1:80"), gateway)
	var r Result
	err = top.Spokes["attacker"].Do(func() (err error) {
		r, err = f.Send(t.Context(), topology.ServerEnd, 10_000, 100*time.Millisecond, time.Now)
		return err
	})
	if err != nil || r.Sent == 0 {
		t.Fatalf("sent %+v, %v", r, err)
	}
	if r.Sent+r.Refused > 1000 {
		t.Errorf("sent %+v at a rate of 1000 in 100 ms", r)
	}
	for tries := 0; ; tries++ {
		got := uint64(len(tap.SYNs(sources.Addr())))
		if got < r.Sent && tries < 1000 {
			time.Sleep(time.Millisecond)
			continue
		}
		if got != r.Sent {
			t.Errorf("%d arrived of %d", got, r.Sent)
		}
		return
	}
}
