package packet

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

func TestFramesDecodeToTheLayersTheyWereBuiltFrom(t *testing.T) {
	v4, web4 := netip.MustParseAddrPort("192.0.2.1:4242"), netip.MustParseAddrPort("203.0.113.1:80")
	v6, web6 := netip.MustParseAddrPort("[2001:db8:a::7]:4242"), netip.MustParseAddrPort("[2001:db8:5::1]:80")
	for _, tt := range []struct {
		name  string
		frame []byte
		want  []string
	}{
		{"a segment over IPv4", TCP(v4, web4, SYN), []string{"Ethernet", "IPv4", "TCP"}},
		{"a segment over IPv6", TCP(v6, web6, SYN), []string{"Ethernet", "IPv6", "TCP"}},
		{"one VLAN tag", TCP(v4, web4, SYN|ACK, VLAN(10)), []string{"Ethernet", "Dot1Q", "IPv4", "TCP"}},
		{"two VLAN tags", TCP(v6, web6, SYN, VLAN(10, 20)), []string{"Ethernet", "Dot1Q", "Dot1Q", "IPv6", "TCP"}},
		{"a datagram", UDP(v4, web4), []string{"Ethernet", "IPv4", "UDP"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pkt := gopacket.NewPacket(tt.frame, layers.LayerTypeEthernet, gopacket.Default)
			var got []string
			for _, l := range pkt.Layers() {
				got = append(got, l.LayerType().String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("layers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFlagsAndAddressesArriveAsGiven(t *testing.T) {
	src, dst := netip.MustParseAddrPort("192.0.2.1:4242"), netip.MustParseAddrPort("203.0.113.1:80")
	pkt := gopacket.NewPacket(TCP(src, dst, SYN|ACK), layers.LayerTypeEthernet, gopacket.Default)
	tcp := pkt.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !tcp.SYN || !tcp.ACK || tcp.SrcPort != 4242 || tcp.DstPort != 80 {
		t.Errorf("segment = %+v", tcp)
	}
	if got := pkt.NetworkLayer().NetworkFlow().String(); got != "192.0.2.1->203.0.113.1" {
		t.Errorf("flow = %s", got)
	}
}

func TestAddressesOfTwoFamiliesPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("built a packet from IPv4 to IPv6")
		}
	}()
	TCP(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::1]:1"), SYN)
}
