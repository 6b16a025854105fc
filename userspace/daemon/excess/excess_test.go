package excess

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheLatestEntryOfEachMeterIsFoundForAnAddressAndItsNetworks(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := New()
	note := func(source, meter string, second int) {
		m.Note(netip.MustParsePrefix(source), Entry{Meter: meter, At: noon.Add(time.Duration(second) * time.Second)})
	}
	note("192.0.2.1/32", "own/syn", 1)
	note("192.0.2.1/32", "own/syn", 5)
	note("192.0.2.1/32", "own/early", -600)
	note("192.0.2.99/24", "own/network", 3)
	note("192.0.2.2/32", "own/syn", 4)
	note("2001:db8:0:1::/64", "own/network", 2)
	for _, tt := range []struct {
		addr string
		want []string
	}{
		{"192.0.2.1", []string{"own/syn 5", "own/network 3"}},
		{"192.0.2.200", []string{"own/network 3"}},
		{"2001:db8:0:1::7", []string{"own/network 2"}},
		{"198.51.100.1", nil},
	} {
		t.Run(tt.addr, func(t *testing.T) {
			var got []string
			for _, e := range m.Find(netip.MustParseAddr(tt.addr), noon) {
				got = append(got, e.Meter+" "+string('0'+rune(e.At.Second())))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSourcesWithoutEndTakeNoMemoryWithoutEnd(t *testing.T) {
	m := New()
	at := time.Unix(0, 0)
	for i := range uint32(10 * maxNoted) {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0xc6120000+i)
		m.Note(netip.PrefixFrom(netip.AddrFrom4(a), 32), Entry{Meter: "m", At: at})
		if n := len(m.young) + len(m.old); n > 2*maxNoted {
			t.Fatalf("%d entries after %d sources", n, i+1)
		}
		if len(m.Find(netip.AddrFrom4(a), at)) != 1 {
			t.Fatalf("the latest of %d sources is forgotten", i+1)
		}
		if i > 2*maxNoted {
			return
		}
	}
}
