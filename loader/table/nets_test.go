package table

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// minNetWords is the memory of a table with room for some 62 networks, or a block less each 64.
const minNetWords = (tops/2/chunk + 1) * chunk

// askTrie is what a reader of the table says when it does not know.
const askTrie = ^uint64(0)

// findNet returns class << 28 | expiry of the network that the table names for an address, 0 when it says
// that there is none, or askTrie.
func (r *reader) findNet(addr uint32) uint64 {
	leaf := func(i uint64) uint32 { return uint32(r.load(int(i/2)) >> (i % 2 * 32)) }
	at := leaf(uint64(addr >> 16))
	if at>>30&1 != 0 {
		at = leaf(uint64(at&^(1<<30))*256 + uint64(addr>>8&255))
	}
	if at>>31 != 0 {
		return askTrie
	}
	if at == 0 {
		return 0
	}
	state := r.load(int(2*at)) & 0xffffffff
	if state&0x0fffffff == 0 {
		return askTrie
	}
	return state
}

// longest is what a walk through all networks says: the longest of up to 24 bits that covers addr, and
// whether there is a longer one.
func longest(in map[Net4]Entry, addr uint32) (state uint64, longer bool) {
	bits := -1
	for n, e := range in {
		switch {
		case n.Bits > MaxNetBits:
			longer = longer || n.Addr>>8 == addr>>8
		case n.at(n.Bits) == (Net4{addr, n.Bits}).at(n.Bits) && int(n.Bits) > bits:
			bits, state = int(n.Bits), e.state()
		}
	}
	return state, longer
}

// near draws a network of a few that are inside each other or next to each other.
func near(t *rapid.T) Net4 {
	bits := uint8(rapid.OneOf(rapid.IntRange(0, 32), rapid.IntRange(14, 25)).Draw(t, "bits"))
	addr := 0xc6120000 + rapid.Uint32Range(0, 3).Draw(t, "top")<<16 +
		rapid.SampledFrom([]uint32{0, 1, 2, 127, 128, 255}).Draw(t, "cell")<<8 + rapid.Uint32Range(0, 255).Draw(t, "host")
	return Net4{addr, 32}.at(bits)
}

// probes are addresses in every part of the space that the networks of near tell apart, and outside.
func probes() []uint32 {
	out := []uint32{0, 0x0a000001, 0xc6110000, 0xc6160000, 0xffffffff}
	for top := range uint32(4) {
		for _, cell := range []uint32{0, 1, 2, 3, 126, 127, 128, 129, 254, 255} {
			out = append(out, 0xc6120000+top<<16+cell<<8+7)
		}
	}
	return out
}

func compareNets(a, b Net4) int {
	return cmp.Or(cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Bits, b.Bits))
}

// netModel drives a table and a map through the same changes, and reads after every store.
type netModel struct {
	t     *rapid.T
	table *Nets4
	mem   []uint64
	in    map[Net4]Entry
	hits  map[Net4]uint64
	asked map[uint32]bool // the /24s that had a longer prefix
	extra uint32          // networks elsewhere, to use up room
}

// during runs a change of n while a reader looks at all probes after each of its first stores and some
// of the others: it sees what was there before, or what there will be, or asks where n is.
func (m *netModel) during(n Net4, change func(), next map[Net4]Entry) {
	r, before, stores := &reader{words: m.mem}, m.in, 0
	m.table.stored = func() {
		if stores++; stores > 32 && stores%997 > 0 {
			return
		}
		for _, addr := range probes() {
			got := r.findNet(addr)
			was, _ := longest(before, addr)
			will, _ := longest(next, addr)
			inside := (Net4{addr, 32}).at(n.Bits) == n
			switch {
			case got == was || got == will:
			case got == askTrie && (inside || m.asked[addr>>8] || m.table.full):
			default:
				m.t.Fatalf("within the change of %v a reader finds %s as %#x; before %#x, after %#x", n, Addr4(addr), got, was, will)
			}
		}
	}
	change()
	m.table.stored = nil
	m.in = next
}

func (m *netModel) put(n Net4, e Entry) {
	next := maps.Clone(m.in)
	if n.Bits > MaxNetBits {
		m.asked[n.Addr>>8] = true
	}
	if _, had := m.in[n]; !had {
		m.hits[n] = 0
	}
	next[n] = e
	m.during(n, func() { m.table.Put(n, e) }, next)
}

func (m *netModel) remove(n Net4) {
	next := maps.Clone(m.in)
	delete(next, n)
	m.during(n, func() { m.table.Remove(n) }, next)
}

// check compares the table as it lies there with the model.
func (m *netModel) check() {
	r := &reader{words: m.mem}
	for _, addr := range probes() {
		want, longer := longest(m.in, addr)
		got := r.findNet(addr)
		switch {
		case got == askTrie && (longer || m.asked[addr>>8] || m.table.full):
		case longer || got != want:
			m.t.Fatalf("a reader finds %s as %#x, want %#x, with longer ones: %v", Addr4(addr), got, want, longer)
		}
	}
	others := maps.Collect(ReadNetRules(m.mem).All())
	if diff := gocmp.Diff(maps.Collect(m.table.All()), others); diff != "" {
		m.t.Fatalf("what another process reads (-writer +reader):\n%s", diff)
	}
	for n := range m.in {
		hits, ok := others[n]
		if want := n.Bits <= MaxNetBits; ok != want && !m.table.full || hits != m.hits[n] && ok {
			m.t.Fatalf("%v has %d hits (%v), want %d (%v)", n, hits, ok, m.hits[n], want)
		}
		delete(others, n)
	}
	if len(others) > 0 {
		m.t.Fatalf("networks that were not put, or removed: %v", others)
	}
}

func TestNets4NamesTheLongestNetworkAllTheTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Memory from next to none, so that some find no room, to enough for all.
		mem := make([]uint64, minNetWords+rapid.IntRange(0, 6).Draw(t, "chunks")*chunk)
		nets, err := NewNets4(mem)
		if err != nil {
			t.Fatal(err)
		}
		m := &netModel{t: t, table: nets, mem: mem, in: map[Net4]Entry{}, hits: map[Net4]uint64{}, asked: map[uint32]bool{}}
		some := func(t *rapid.T) Net4 {
			if in := slices.SortedFunc(maps.Keys(m.in), compareNets); len(in) > 0 && rapid.Bool().Draw(t, "known") {
				return rapid.SampledFrom(in).Draw(t, "net")
			}
			return near(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":    func(t *rapid.T) { m.put(some(t), drawEntry(t)) },
			"remove": func(t *rapid.T) { m.remove(some(t)) },
			"again":  func(t *rapid.T) { n := some(t); m.remove(n); m.put(n, drawEntry(t)) },
			"hits": func(t *rapid.T) {
				n, hits := some(t), rapid.Uint64Range(1, 1<<40).Draw(t, "hits")
				if m.table.AddHits(n, hits) {
					m.hits[n] += hits
				}
			},
			"elsewhere": func(*rapid.T) {
				for range 20 {
					m.put(Net4{0x0a000000 + m.extra<<16, 16}, Entry{Class: 1, Expiry: 1})
					m.extra++
				}
			},
			"": func(*rapid.T) { m.check() },
		})
	})
}

// mustNets makes a table with room for a chunk or more, of a block or 64 networks each.
func mustNets(t testing.TB, chunks int) (*Nets4, []uint64) {
	t.Helper()
	mem := make([]uint64, minNetWords+chunks*chunk)
	nets, err := NewNets4(mem)
	if err != nil {
		t.Fatal(err)
	}
	return nets, mem
}

func TestANetworkIsInForceForEveryAddressOfItAndNoOther(t *testing.T) {
	for _, tt := range []struct {
		name string
		net  Net4
	}{
		{"everything", Net4{0, 0}}, {"half of it", Net4{1 << 31, 1}}, {"/8", Net4{0x0a000000, 8}},
		{"/16", Net4{0xc6120000, 16}}, {"/17", Net4{0xc6128000, 17}}, {"/24", Net4{0xc6336400, 24}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nets, mem := mustNets(t, 2)
			r := &reader{words: mem}
			nets.Put(tt.net, Entry{Class: 3, Expiry: 77})
			for cell := uint32(0); cell < 1<<24; cell += 127 { // each place of a block comes up
				want := uint64(0)
				if (Net4{cell << 8, 32}).at(tt.net.Bits) == tt.net {
					want = 3<<28 | 77
				}
				if got := r.findNet(cell << 8); got != want {
					t.Fatalf("%s is %#x, want %#x", Addr4(cell<<8), got, want)
				}
			}
			nets.Remove(tt.net)
			for cell := uint32(0); cell < 1<<24; cell += 127 { // each place of a block comes up
				if got := r.findNet(cell << 8); got != 0 {
					t.Fatalf("%s is %#x after removing the network", Addr4(cell<<8), got)
				}
			}
		})
	}
}

func TestNets4LaysItsWordsOutAsTheKernelReadsThem(t *testing.T) {
	nets, mem := mustNets(t, 1)
	nets.Put(Net4{0xc6120000, 15}, Entry{Class: 1, Expiry: 0x100})
	nets.Put(Net4{0xc6120200, 24}, Entry{Class: 2, Expiry: 0x101})
	nets.Put(Net4{0xc6120300, 24}, Entry{Class: MaxClass + 1, Expiry: 0x102})
	nets.Put(Net4{0xc61202c0, 26}, Entry{Class: 3, Expiry: 0x103})
	nets.Put(Net4{0xc0000000, 16}, Entry{Class: 4, Expiry: 0x104})
	nets.Remove(Net4{0xc0000000, 16})
	nets.AddHits(Net4{0xc6120000, 15}, 1<<40)
	want := make([]uint64, len(mem))
	// The /16s 198.18 and 198.19 as the two halves of a word: a block, the last of the memory, and a rule.
	const block = 257
	want[0xc612/2] = 16384<<32 | 1<<30 | block
	for i := range 128 {
		want[block*128+i] = 16384<<32 | 16384
	}
	want[block*128+1] = 16386<<32 | 1<<31 | 16385
	copy(want[2*16384:], []uint64{
		0xc61200_0f_10000100, 1 << 40,
		0xc61202_18_20000101, 0,
		0xc61203_18_00000001, 0, // what has no class is over, so that the trie is asked
		0xc00000_10_f0000000, 0,
	})
	if diff := gocmp.Diff(want, mem); diff != "" {
		t.Errorf("memory (-want +got):\n%s", diff)
	}
}

func TestWhatFindsNoRoomIsLeftToTheTrie(t *testing.T) {
	for _, tt := range []struct {
		name string
		net  Net4
		ask  []uint32
		know []uint32
	}{
		{"no block: the /16 asks", Net4{0xc6336400, 24}, []uint32{0xc6336401, 0xc6330001}, []uint32{0xc6320001}},
		{"no block for a longer one", Net4{0xc6336440, 26}, []uint32{0xc6336401, 0xc6330001}, []uint32{0xc6320001}},
		{"no rule", Net4{0xc6320000, 15}, []uint32{0xc6320001, 0xc6330001}, []uint32{0xc6310001, 0xc6340001}},
		{"no rule for a known block", Net4{0xc0000200, 24}, []uint32{0xc0000201}, []uint32{0xc0000301, 0xc0010001}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nets, mem := mustNets(t, 1)
			nets.Put(Net4{0xc0000100, 24}, Entry{Class: 1, Expiry: 1})
			for i := uint32(0); !nets.Worn(); i++ {
				nets.Put(Net4{0x0a000000 + i<<16, 16}, Entry{Class: 1, Expiry: 1})
			}
			nets.Put(tt.net, Entry{Class: 1, Expiry: 1})
			nets.Remove(tt.net)
			r := &reader{words: mem}
			for _, addr := range tt.ask {
				if got := r.findNet(addr); got != askTrie {
					t.Errorf("%s is %#x, want a reader to ask", Addr4(addr), got)
				}
			}
			for _, addr := range tt.know {
				if got := r.findNet(addr); got != 0 {
					t.Errorf("%s is %#x, want 0", Addr4(addr), got)
				}
			}
		})
	}
}

func TestATableHasRoomForTheNetworksItWasMadeFor(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 60_000} {
		random := rand.New(rand.NewPCG(uint64(n), 0))
		in := map[Net4]Entry{}
		for len(in) < n {
			in[Net4{random.Uint32(), 32}.at(uint8(random.IntN(33)))] = Entry{Class: 1, Expiry: 1}
		}
		nets, err := NewNets4(make([]uint64, NetLines(maps.Keys(in))*LineWords))
		if err != nil {
			t.Fatal(err)
		}
		for net, e := range in {
			nets.Put(net, e)
		}
		if nets.Worn() {
			t.Errorf("a table for %d networks is worn with them in it", n)
		}
		for i := range uint32(2 * few) {
			nets.Put(Net4{0xc6120000 + i<<8, 24}, Entry{Class: 1, Expiry: 1})
			nets.Put(Net4{0xc6120000 + i<<8, 25}, Entry{Class: 1, Expiry: 1})
		}
		for i := range uint32(2 * few) {
			nets.Remove(Net4{0xc6120000 + i<<8, 25})
		}
		if got, want := nets.Worn(), n <= 1000; got != want {
			t.Errorf("a table for %d networks is worn: %v after %d longer ones came and went, want %v", n, got, 2*few, want)
		}
	}
}

func TestMemoryForLessThanTheFirstLevelIsRefused(t *testing.T) {
	if _, err := NewNets4(make([]uint64, minNetWords-1)); err == nil || !strings.Contains(err.Error(), "32896 are the least") {
		t.Errorf("NewNets4: %v", err)
	}
}

// A reader may be anywhere between its loads while networks come and go around the address.
func TestANetworkThatStaysIsSeenWhateverTheWriterDoesBetweenTheLoads(t *testing.T) {
	stays, moves := []Net4{{0xc6120000, 15}, {0xc0000200, 24}}, []Net4{
		{0, 0}, {0xc6000000, 8}, {0xc6120000, 16}, {0xc6120000, 20}, {0xc6120700, 24}, {0xc0000000, 16}, {0xc0000000, 22}, {0xc0000280, 25},
	}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		nets, mem := mustNets(t, random.IntN(4))
		for _, n := range stays {
			nets.Put(n, Entry{Class: 1, Expiry: 5})
		}
		write, stopWrite := steps(func(pause func()) {
			stores := 0
			nets.stored = func() {
				if stores++; stores%8 == 0 { // /0 takes 65536 of them
					pause()
				}
			}
			for range 200 {
				n := moves[random.IntN(len(moves))]
				if nets.find(n) != 0 {
					nets.Remove(n)
				} else {
					nets.Put(n, Entry{Class: 2, Expiry: 7})
				}
			}
		})
		wrong := 0
		read, stopRead := steps(func(pause func()) {
			r := &reader{words: mem, stepped: pause}
			for range 100 {
				if r.findNet(0xc6120701) == 0 || r.findNet(0xc0000201) == 0 {
					wrong++
				}
			}
		})
		for more := true; more; more = read() {
			for range random.IntN(40) {
				write()
			}
		}
		stopRead()
		stopWrite()
		if wrong > 0 {
			t.Fatalf("seed %d: %d times a network that stays was not there", seed, wrong)
		}
	}
}
