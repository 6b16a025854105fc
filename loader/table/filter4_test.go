package table

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustFilter4(t testing.TB, words []uint64, log2 int) *Filter4 {
	t.Helper()
	f, err := NewFilter4(words, log2, mixingKey())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// marked4 looks an address up in the way of the packet path, sharing nothing with Filter4.
func marked4(words []uint64, log2 int, key [2]uint64, addr uint32) bool {
	bits := words[addr>>(32-log2)]
	hash := uint64(addr) * key[0] >> 59
	return bits>>(addr>>(27-log2)&31)&(bits>>32>>hash)&1 != 0
}

// sees says what a filter must say of an address, from what is in it.
func sees(in []span, addr uint32, log2 int, key [2]uint64) bool {
	place, hash := false, false
	for _, s := range in {
		if s.First>>(27-log2) <= addr>>(27-log2) && addr>>(27-log2) <= s.Last>>(27-log2) {
			place = true
		}
		if s.First>>(32-log2) <= addr>>(32-log2) && addr>>(32-log2) <= s.Last>>(32-log2) {
			same := uint64(s.First)*key[0]>>59 == uint64(addr)*key[0]>>59
			hash = hash || s.First != s.Last || same
		}
	}
	return place && hash
}

func TestAFilterSeesExactlyThePlacesAndHashesOfWhatIsIn(t *testing.T) {
	for _, log2 := range []int{MinFilterLog2, 13} {
		t.Run(fmt.Sprintf("2^%d words", log2), func(t *testing.T) {
			words := make([]uint64, 1<<log2)
			rapid.Check(t, func(t *rapid.T) {
				key := drawKey(t)
				f, err := NewFilter4(words, log2, key)
				if err != nil {
					t.Fatal(err)
				}
				var in []span
				// Within a few words at either end of the space, where ranges meet.
				near := rapid.Custom(func(t *rapid.T) uint32 {
					addr := rapid.Uint32Range(0, 5<<(32-log2)).Draw(t, "addr")
					if rapid.Bool().Draw(t, "mirror") {
						addr = ^addr
					}
					return addr
				})
				t.Repeat(map[string]func(*rapid.T){
					"add a host": func(t *rapid.T) {
						addr := near.Draw(t, "host")
						f.Add(addr, addr)
						in = append(in, span{addr, addr})
					},
					"add a network": func(t *rapid.T) {
						wide := uint32(1)<<rapid.IntRange(1, 34-log2).Draw(t, "bits") - 1
						first := near.Draw(t, "network") &^ wide
						f.Add(first, first|wide)
						in = append(in, span{first, first | wide})
					},
					"remove": func(t *rapid.T) {
						if len(in) == 0 {
							t.Skip("nothing in")
						}
						i := rapid.IntRange(0, len(in)-1).Draw(t, "which")
						f.Remove(in[i].First, in[i].Last)
						in = append(in[:i], in[i+1:]...)
					},
					"": func(t *rapid.T) {
						addrs := rapid.SliceOfN(near, 20, 20).Draw(t, "looked for")
						for _, s := range in {
							addrs = append(addrs, s.First, s.Last, s.First-1, s.Last+1)
						}
						for _, addr := range addrs {
							want := sees(in, addr, log2, key)
							if got, read := f.Has(addr), marked4(words, log2, key, addr); got != want || read != want {
								t.Fatalf("%s: Has = %v, a reader sees %v, want %v", Addr4(addr), got, read, want)
							}
						}
					},
				})
			})
		})
	}
}

func TestABitThatWasCountedToTheEndStaysSet(t *testing.T) {
	f := mustFilter4(t, make([]uint64, 1<<MinFilterLog2), MinFilterLog2)
	for _, tt := range []struct {
		name  string
		hosts int
		want  bool
	}{
		{"254 come and go", 254, false},
		{"255 come and go", 255, true},
		{"one comes and goes afterwards", 1, true},
	} {
		for range tt.hosts {
			f.Add(0xc0000201, 0xc0000201)
		}
		for range tt.hosts {
			f.Remove(0xc0000201, 0xc0000201)
		}
		if got := f.Has(0xc0000201); got != tt.want {
			t.Errorf("%s: bits = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestANewFilterIsEmptyAndTheWholeSpaceFillsIt(t *testing.T) {
	words := make([]uint64, 1<<MinFilterLog2+1)
	words[3] = 1 // left by an earlier one
	f := mustFilter4(t, words, MinFilterLog2)
	for _, step := range []struct {
		do   func(first, last uint32)
		want uint64
	}{{func(uint32, uint32) {}, 0}, {f.Add, 1<<64 - 1}, {f.Remove, 0}} {
		step.do(0, 1<<32-1)
		for i, w := range words[:1<<MinFilterLog2] {
			if w != step.want {
				t.Fatalf("word %d = %#x, want %#x", i, w, step.want)
			}
		}
	}
	if words[1<<MinFilterLog2] != 0 {
		t.Error("the filter wrote beyond its words")
	}
}

// Of a million clean sources beside a million random bans, 15,000 have to be looked for.
func TestAFilterSeesFewOthers(t *testing.T) {
	const hosts, looks = 1 << 20, 200_000
	f := mustFilter4(t, make([]uint64, 1<<MaxFilterLog2), MaxFilterLog2)
	random := rand.New(rand.NewPCG(5, 6))
	for range hosts {
		addr := random.Uint32()
		f.Add(addr, addr)
	}
	seen := 0
	for range looks {
		if f.Has(random.Uint32()) {
			seen++
		}
	}
	if share := float64(seen) / looks; share > 0.02 {
		t.Errorf("%.1f %% of random sources are seen, want at most 2 %%", 100*share)
	}
}

func TestAFilterOfTheWrongSizeOrKeyIsRefused(t *testing.T) {
	for _, tt := range []struct {
		words, log2 int
		key         [2]uint64
		want        string
	}{
		{1 << 18, 9, mixingKey(), "use 2^10 to 2^18"},
		{1 << 19, 19, mixingKey(), "use 2^10 to 2^18"},
		{1<<18 - 1, 18, mixingKey(), "2^18 are needed"},
		{1 << 18, 18, [2]uint64{1, 2}, "must be odd"},
	} {
		if _, err := NewFilter4(make([]uint64, tt.words), tt.log2, tt.key); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d words, log2 %d: %v, want %q", tt.words, tt.log2, err, tt.want)
		}
	}
}

func BenchmarkFilter4AddAndRemove(b *testing.B) {
	for _, tt := range []struct {
		name        string
		first, last uint32
	}{
		{"host", 0xc0000201, 0xc0000201},
		{"prefix of 8 bits", 0x0a000000, 0x0affffff},
		{"everything", 0, 1<<32 - 1},
	} {
		b.Run(tt.name, func(b *testing.B) {
			f := mustFilter4(b, make([]uint64, 1<<MaxFilterLog2), MaxFilterLog2)
			for b.Loop() {
				f.Add(tt.first, tt.last)
				f.Remove(tt.first, tt.last)
			}
		})
	}
}
