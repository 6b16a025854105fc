package table

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testKey makes an IPv4 address its own hash.
func testKey() [2]uint64 { return [2]uint64{1, 1<<32 + 1} }

// mixingKey spreads addresses as a random key does.
func mixingKey() [2]uint64 { return [2]uint64{0x9e3779b97f4a7c15, 0xd1b54a32d192ed03} }

func TestHosts4LaysItsWordsOutAsTheKernelReadsThem(t *testing.T) {
	const lines = 8
	mem := make([]uint64, lines*LineWords)
	h, err := NewHosts4(mem, lines, testKey())
	if err != nil {
		t.Fatal(err)
	}
	const first = 0xe0000001 // in the last line, so that the next one is the first
	if got := Share(Hash4(first, testKey()), lines); got != 7 {
		t.Fatalf("224.0.0.1 is in line %d, want 7", got)
	}
	for i := range uint32(6) {
		if !h.Put(first+i, Entry{Class: 1, Expiry: 0x100 + i, Hits: uint64(i)}) {
			t.Fatalf("no room for address %d", i)
		}
	}
	h.Remove(first + 1)
	h.AddHits(first+5, 1<<40)
	want := make([]uint64, lines*LineWords)
	copy(want[7*LineWords:], []uint64{
		0xe0000001_10000100, 0, 0xe0000003_10000102, 0xe0000004_10000103, 0xe0000005_10000104,
		1 << 32, 3<<32 | 2, 1<<32 | 4, // the hits, and that readers go on
	})
	want[0], want[5] = 0xe0000006_10000105, 0xffffffff
	if diff := cmp.Diff(want, mem); diff != "" {
		t.Errorf("memory (-want +got):\n%s", diff)
	}
	if h.Len() != 5 || h.Tombstones() != 1 || h.Slots() != 40 {
		t.Errorf("%d entries, %d tombstones, %d slots; want 5, 1, 40", h.Len(), h.Tombstones(), h.Slots())
	}
}

func TestHosts6LaysItsWordsOutAsTheKernelReadsThem(t *testing.T) {
	const lines = 8
	mem := make([]uint64, lines*LineWords)
	h, err := NewHosts6(mem, lines, testKey())
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) Key6 { return Key6Of(netip.MustParseAddr(s)) }
	first := Share(Hash6(at("2001:db8::1"), testKey()), lines) * LineWords
	var put []string
	for _, s := range []string{"2001:db8::1", "2001:db8::3", "2001:db8::5"} {
		if Share(Hash6(at(s), testKey()), lines)*LineWords == first {
			put = append(put, s)
		}
		h.Put(at(s), Entry{Class: 2, Expiry: NoEnd, Hits: 1 << 40})
	}
	if len(put) != 3 {
		t.Fatalf("of the addresses only %v are in one line", put)
	}
	h.Remove(at("2001:db8::1"))
	h.Put(at("2001:db8::7"), Entry{Class: 3, Expiry: 5})
	h.Put(at("2001:db8::7"), Entry{Class: 3, Expiry: 6})
	h.Remove(at("2001:db8::3"))
	want := make([]uint64, lines*LineWords)
	copy(want[first:], []uint64{
		0x20010db8 << 32, 7, 2<<32 | 3<<28 | 6, 0,
		0x20010db8 << 32, 3, 1<<32 | 15<<28, 1 << 40,
	})
	copy(want[(first+8)%len(want):], []uint64{0x20010db8 << 32, 5, 1<<32 | 2<<28 | NoEnd, 1 << 40})
	if diff := cmp.Diff(want, mem); diff != "" {
		t.Errorf("memory (-want +got):\n%s", diff)
	}
	if h.Len() != 2 || h.Tombstones() != 1 || h.Slots() != 16 {
		t.Errorf("%d entries, %d tombstones, %d slots; want 2, 1, 16", h.Len(), h.Tombstones(), h.Slots())
	}
}

func TestWhatTheLayoutCannotHoldIsNotPut(t *testing.T) {
	h4, err := NewHosts4(make([]uint64, MinLines*LineWords), MinLines, testKey())
	if err != nil {
		t.Fatal(err)
	}
	h6, err := NewHosts6(make([]uint64, MinLines*LineWords), MinLines, testKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		addr  uint32
		entry Entry
		want  bool
	}{
		{"the smallest expiry", 1, Entry{Expiry: 1}, true},
		{"the largest class and no end", 2, Entry{Class: MaxClass, Expiry: NoEnd}, true},
		{"an expiry of 0", 3, Entry{}, false},
		{"an expiry of more than 28 bits", 3, Entry{Expiry: NoEnd + 1}, false},
		{"a class of more than 4 bits", 3, Entry{Class: MaxClass + 1, Expiry: 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := h4.Put(tt.addr, tt.entry); got != tt.want {
				t.Errorf("Hosts4.Put = %v, want %v", got, tt.want)
			}
			if got := h6.Put(Key6{Lo: uint64(tt.addr)}, tt.entry); got != tt.want {
				t.Errorf("Hosts6.Put = %v, want %v", got, tt.want)
			}
		})
	}
	if h4.Put(0, Entry{Expiry: 1}) {
		t.Error("0.0.0.0, which is how free slots look, was put")
	}
	if _, ok := h4.Find(0); ok || h4.Remove(0) || h4.AddHits(0, 1) {
		t.Error("0.0.0.0 was found")
	}
	if k := (Key6{}); !h6.Put(k, Entry{Expiry: 1}) || !h6.Remove(k) {
		t.Error(":: was not put or not found")
	}
}

func TestATableOfAnotherKeyOrOfTooLittleMemoryIsRefused(t *testing.T) {
	filled4, filled6 := make([]uint64, 16*LineWords), make([]uint64, 16*LineWords)
	h4, err := NewHosts4(filled4, 16, testKey())
	if err != nil {
		t.Fatal(err)
	}
	h6, err := NewHosts6(filled6, 16, testKey())
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(16) {
		h4.Put(0xc0000201+i, Entry{Expiry: 1})
		h6.Put(Key6{Hi: 0x20010db8 << 32, Lo: uint64(i)}, Entry{Expiry: 1})
	}
	for _, tt := range []struct {
		name       string
		mem4, mem6 []uint64
		lines      int
		key        [2]uint64
		want       string
	}{
		{"another key", filled4, filled6, 16, mixingKey(), "no reader finds"},
		{"an even key", filled4, filled6, 16, [2]uint64{1, 2}, "must be odd"},
		{"too little memory", filled4[1:], filled6[1:], 16, testKey(), "16 lines need"},
		{"too few lines", filled4, filled6, 7, testKey(), "use 8 to 268435456"},
		{"too many lines", filled4, filled6, 1<<28 + 1, testKey(), "use 8 to 268435456"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewHosts4(tt.mem4, tt.lines, tt.key); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewHosts4: %v, want %q", err, tt.want)
			}
			if _, err := NewHosts6(tt.mem6, tt.lines, tt.key); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewHosts6: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAnEntryBeyondTheReachOfReadersIsRefused(t *testing.T) {
	// Both are one line further than their hash says, and nothing sends readers on from there.
	const lines = 8
	mem4 := make([]uint64, lines*LineWords)
	mem4[(Share(Hash4(0xc0000201, testKey()), lines)+1)%lines*LineWords] = 0xc0000201_10000100
	if _, err := NewHosts4(mem4, lines, testKey()); err == nil || !strings.Contains(err.Error(), "192.0.2.1 in slot 0 of line 7") {
		t.Errorf("NewHosts4: %v", err)
	}
	k := Key6{Hi: 0x20010db8 << 32, Lo: 1}
	line := (Share(Hash6(k, testKey()), lines) + 1) % lines
	mem6 := make([]uint64, lines*LineWords)
	copy(mem6[line*LineWords:], []uint64{k.Hi, k.Lo, 1<<32 | NoEnd, 0})
	if _, err := NewHosts6(mem6, lines, testKey()); err == nil || !strings.Contains(err.Error(), "2001:db8::1 in slot 0") {
		t.Errorf("NewHosts6: %v", err)
	}
}

func TestAKeyIsItsAddress(t *testing.T) {
	for _, s := range []string{"2001:db8::1", "2001:db8:ffff:1:203::", "::"} {
		if got := Key6Of(netip.MustParseAddr(s)).Addr().String(); got != s {
			t.Errorf("%s came back as %s", s, got)
		}
	}
	if k := Key6Of(netip.MustParseAddr("2001:db8::5")); k != (Key6{0x20010db800000000, 5}) {
		t.Errorf("2001:db8::5 is %#x", k)
	}
	for _, s := range []string{"192.0.2.1", "198.51.100.255"} {
		if got := Addr4(Key4Of(netip.MustParseAddr(s))).String(); got != s {
			t.Errorf("%s came back as %s", s, got)
		}
	}
	if k := Key4Of(netip.MustParseAddr("192.0.2.1")); k != 0xc0000201 {
		t.Errorf("192.0.2.1 is %#x", k)
	}
}
