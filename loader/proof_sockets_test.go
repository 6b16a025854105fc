package loader

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/bench/packet"
)

// proofBench runs packets of a client through the test program where the server's sockets are.
type proofBench struct {
	meterBench
	net      network
	listener net.Listener
	client   netip.Addr
	sport    uint16 // of the next attempt
}

func mustLoadProof(t *testing.T, client, server string) *proofBench {
	t.Helper()
	n := mustNetwork(t)
	return &proofBench{
		meterBench: mustLoadMeter(t, 1<<40), net: n, listener: mustListen(t, n, server),
		client: netip.MustParseAddr(client), sport: 20000,
	}
}

// attempt sends a SYN; one that is completed is followed by a connection and a segment of it.
func (b *proofBench) attempt(t *testing.T, completed bool) {
	t.Helper()
	b.sport++
	from, to := netip.AddrPortFrom(b.client, b.sport), b.listener.Addr().(*net.TCPAddr).AddrPort()
	run := func(flags packet.Flags) {
		in(t, b.net.server, func() { mustRun(t, b.TestFilter, packet.TCP(from, to, flags)) })
	}
	run(packet.SYN)
	if !completed {
		return
	}
	var c net.Conn
	in(t, b.net.client, func() {
		var err error
		if c, err = (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from)}).Dial("tcp", to.String()); err != nil {
			t.Fatal(err)
		}
	})
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil { // the handshake's last packet is there when this is acknowledged
		t.Fatal(err)
	}
	mustAcknowledged(t, c)
	run(packet.ACK)
}

// wantEvents is what the rule says of a window.
func wantEvents(limit int, window []bool) (events []string) {
	m := proofModel{limit: limit}
	for i, completed := range window {
		count := i + 1
		if count == 2*limit+1 && !m.proven() { // what a SYN finds is the proof of those before
			events = append(events, fmt.Sprintf("count %d established false", count))
		}
		if m.attempt(completed) {
			return append(events, fmt.Sprintf("count %d established true", count))
		}
	}
	return events
}

func TestTheProgramProvesWhatTheModelProves(t *testing.T) {
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			b := mustLoadProof(t, family.client, family.server)
			rng := rand.New(rand.NewPCG(5, 6))
			now := 5 * time.Second
			for limit := 1; limit <= 16; limit++ { // beyond that chance decides what is drawn
				b.set(t, newConnections(uint64(limit)))
				for _, share := range []float64{0.3, 0.6, 0.8, 1} {
					now += time.Second
					b.at(t, now)
					window := make([]bool, max(2*limit+1, limit+proofFlows+1))
					for i := range window {
						window[i] = rng.Float64() < share
						b.attempt(t, window[i])
					}
					var got []string
					for _, e := range b.raw(t) {
						got = append(got, fmt.Sprintf("count %d established %t", e.Count, e.Established == 1))
					}
					if diff := cmp.Diff(wantEvents(limit, window), got); diff != "" {
						t.Errorf("limit %d, attempts completed %v: events (-want +got):\n%s", limit, window, diff)
					}
				}
			}
		})
	}
}
