package capture

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/bench/packet"
)

// mustHex reads bytes written as hexadecimal digits with spaces between them.
func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	macs  = "020000000002 020000000001 "
	v4UDP = "45000020 00000000 4011 0000 c0000201 c6336407 "
	v6    = "60000000 0020 "
	hosts = " 40 20010db8000000000000000000000001 20010db8000000000000000000000007 "
	ports = "1092 0035 0008 0000"
)

func TestHeadersAreRead(t *testing.T) {
	four, six := "192.0.2.1 198.51.100.7 ", "2001:db8::1 2001:db8::7 "
	for _, tt := range []struct {
		name  string
		frame []byte
		want  string // addresses, tags, then what String says
	}{
		{"UDP", mustHex(t, macs+"0800"+v4UDP+ports), four + "0 udp 4242 > 53"},
		{"two tags", mustHex(t, macs+"88a8 0001 8100 0002 0800"+v4UDP+ports), four + "2 udp 4242 > 53"},
		{"five tags", mustHex(t, macs+"8100"+strings.Repeat("0001 8100", 4)+"0002 0800"+v4UDP+ports), four + "5 udp 4242 > 53"},
		{"PPPoE", mustHex(t, macs+"8864 1100 0007 0022 0021"+v4UDP+ports), four + "0 udp 4242 > 53"},
		{"options", mustHex(t, macs+"0800 46000024 00000000 4011 0000 c0000201 c6336407 01010101"+ports), four + "0 udp 4242 > 53"},
		{"first fragment", mustHex(t, macs+"0800 45000020 00002000 4011 0000 c0000201 c6336407"+ports), four + "0 udp 4242 > 53"},
		{"later fragment", mustHex(t, macs+"0800 45000020 00000007 4011 0000 c0000201 c6336407"+ports), four + "0 udp fragment"},
		{"ping", mustHex(t, macs+"0800 45000020 00000000 4001 0000 c0000201 c6336407 08000000"), four + "0 icmp type 8"},
		{"a protocol without a name", mustHex(t, macs+"0800 45000020 00000000 4063 0000 c0000201 c6336407 0800"), four + "0 ip-99"},
		{"ESP", mustHex(t, macs+"0800 45000020 00000000 4032 0000 c0000201 c6336407 0800"), four + "0 esp"},
		{"header shorter than it can be", mustHex(t, macs+"0800 44000020 00000000 4011 0000 c0000201 c6336407"+ports), "invalid IP invalid IP 0 "},
		{"UDP over IPv6", mustHex(t, macs+"86dd"+v6+"11"+hosts+ports), six + "0 udp 4242 > 53"},
		{"extension headers", mustHex(t, macs+"86dd"+v6+"00"+hosts+"3c01"+strings.Repeat("00", 14)+"3300"+strings.Repeat("00", 6)+
			"1101"+strings.Repeat("00", 10)+ports), six + "0 udp 4242 > 53"},
		{"first fragment of IPv6", mustHex(t, macs+"86dd"+v6+"2c"+hosts+"1100 0001 00000000"+ports), six + "0 udp 4242 > 53"},
		{"later fragment of IPv6", mustHex(t, macs+"86dd"+v6+"2c"+hosts+"1100 0039 00000000"+ports), six + "0 udp fragment"},
		{"neighbour solicitation", mustHex(t, macs+"86dd"+v6+"3a"+hosts+"8700"), six + "0 icmpv6 type 135"},
		{"ARP", mustHex(t, macs+"0806 0001"), "invalid IP invalid IP 0 "},
		{"TCP", packet.TCP(netip.MustParseAddrPort("192.0.2.1:4242"), netip.MustParseAddrPort("198.51.100.7:22"), packet.SYN|packet.ACK),
			four + "0 tcp 4242 > 22 syn,ack"},
		{"TCP over IPv6 with tags", packet.TCP(netip.MustParseAddrPort("[2001:db8::1]:4242"), netip.MustParseAddrPort("[2001:db8::7]:22"),
			packet.SYN, packet.VLAN(1, 2)), six + "2 tcp 4242 > 22 syn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Read(tt.frame)
			got := h.Source.String() + " " + h.Destination.String() + " " + string(rune('0'+h.Tags)) + " " + h.String()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsCutOffIsLeftOut(t *testing.T) {
	whole := packet.TCP(netip.MustParseAddrPort("192.0.2.1:4242"), netip.MustParseAddrPort("198.51.100.7:22"), packet.SYN)
	for n := range len(whole) + 1 {
		want := Headers{}
		if n >= 34 {
			want.Source, want.Destination, want.Protocol = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7"), "tcp"
		}
		if n >= 38 {
			want.Ports, want.SourcePort, want.DestPort = true, 4242, 22
		}
		if n >= 48 {
			want.Flags = 2
		}
		if diff := cmp.Diff(want, Read(whole[:n]), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("of %d bytes (-want +got):\n%s", n, diff)
		}
	}
}

func FuzzReadTakesAnything(f *testing.F) {
	f.Add(packet.TCP(netip.MustParseAddrPort("192.0.2.1:4242"), netip.MustParseAddrPort("198.51.100.7:22"), packet.SYN))
	f.Add(mustHex(f, macs+"86dd"+v6+"2c"+hosts+"1100 0039 00000000"+ports))
	f.Fuzz(func(t *testing.T, frame []byte) {
		h := Read(frame)
		if h.Protocol == "" && (h.Ports || h.ICMP || h.Source.IsValid()) || h.Source.IsValid() != h.Destination.IsValid() {
			t.Errorf("headers contradict each other: %+v", h)
		}
		if 4*h.Tags > len(frame) {
			t.Errorf("%d tags in %d bytes", h.Tags, len(frame))
		}
	})
}
