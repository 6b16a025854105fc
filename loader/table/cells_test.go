package table

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustCells(t testing.TB, words []uint64, shift uint8) *Cells {
	t.Helper()
	c, err := NewCells(words, shift)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// span is a range of addresses.
type span struct{ First, Last uint32 }

func TestABitIsSetWhileARangeTouchesItsCell(t *testing.T) {
	for _, shift := range []uint8{12, 16} {
		t.Run(fmt.Sprintf("shift %d", shift), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				c, err := NewCells(make([]uint64, CellWords(shift)), shift)
				if err != nil {
					t.Fatal(err)
				}
				var in []span
				t.Repeat(map[string]func(*rapid.T){
					"add": func(t *rapid.T) {
						// Within a few cells at either end of the space, where ranges meet.
						first := rapid.Uint32Range(0, 200<<shift).Draw(t, "first")
						last := first + rapid.Uint32Range(0, 100<<shift).Draw(t, "more")
						if rapid.Bool().Draw(t, "mirror") {
							first, last = ^last, ^first
						}
						c.Add(first, last)
						in = append(in, span{first, last})
					},
					"remove": func(t *rapid.T) {
						if len(in) == 0 {
							t.Skip("nothing in")
						}
						i := rapid.IntRange(0, len(in)-1).Draw(t, "which")
						c.Remove(in[i].First, in[i].Last)
						in = append(in[:i], in[i+1:]...)
					},
					"trim": func(*rapid.T) { c.Trim() },
					"": func(t *rapid.T) {
						for cell := range uint32(301) {
							for _, addr := range []uint32{cell << shift, ^(cell << shift)} {
								if got, want := c.Has(addr), touched(in, addr>>shift, shift); got != want {
									t.Fatalf("bit of %s = %v, want %v", Addr4(addr), got, want)
								}
							}
						}
					},
				})
			})
		})
	}
}

func touched(in []span, cell uint32, shift uint8) bool {
	for _, s := range in {
		if s.First>>shift <= cell && cell <= s.Last>>shift {
			return true
		}
	}
	return false
}

func TestACellThatWasCountedToTheEndStaysSet(t *testing.T) {
	c := mustCells(t, make([]uint64, CellWords(16)), 16)
	for _, tt := range []struct {
		name   string
		ranges int
		want   bool
	}{
		{"254 ranges come and go", 254, false},
		{"255 ranges come and go", 255, true},
		{"a range comes and goes afterwards", 1, true},
	} {
		for range tt.ranges {
			c.Add(0xc0000200, 0xc00002ff)
		}
		for range tt.ranges {
			c.Remove(0xc0000200, 0xc00002ff)
		}
		if got := c.Has(0xc0000201); got != tt.want {
			t.Errorf("%s: bit = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTrimLeavesOnlyWhatThisProcessAdded(t *testing.T) {
	words := make([]uint64, CellWords(8))
	mustCells(t, words, 8).Add(0xc0000200, 0xc63364ff) // what an earlier process left
	c := mustCells(t, words, 8)
	c.Add(0xc6336400, 0xc63364ff)
	if !c.Has(0xc0000201) {
		t.Error("taking the words over cleared a bit")
	}
	c.Trim()
	if c.Has(0xc0000201) || !c.Has(0xc6336401) {
		t.Errorf("after Trim: 192.0.2.0/24 %v, 198.51.100.0/24 %v; want false, true", c.Has(0xc0000201), c.Has(0xc6336401))
	}
}

func TestTheWholeSpaceIsOneRange(t *testing.T) {
	words := make([]uint64, CellWords(8)+1)
	c := mustCells(t, words, 8)
	c.Add(0, 1<<32-1)
	for i, w := range words[:CellWords(8)] {
		if w != 1<<64-1 {
			t.Fatalf("word %d = %#x with everything added", i, w)
		}
	}
	c.Remove(0, 1<<32-1)
	for i, w := range words {
		if w != 0 {
			t.Fatalf("word %d = %#x with everything removed", i, w)
		}
	}
	c.Add(2, 1)
	if c.Has(1) {
		t.Error("a range that ends before it begins was added")
	}
}

func TestABitmapOfTheWrongSizeIsRefused(t *testing.T) {
	for _, tt := range []struct {
		words int
		shift uint8
		want  string
	}{
		{1 << 18, 7, "use 8 to 16"},
		{1 << 18, 17, "use 8 to 16"},
		{1<<18 - 1, 8, "shift 8 needs 262144"},
	} {
		if _, err := NewCells(make([]uint64, tt.words), tt.shift); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d words, shift %d: %v, want %q", tt.words, tt.shift, err, tt.want)
		}
	}
}

func BenchmarkCellsAddAndRemove(b *testing.B) {
	for _, tt := range []struct {
		name        string
		first, last uint32
	}{
		{"host", 0xc0000201, 0xc0000201},
		{"prefix of 8 bits", 0x0a000000, 0x0affffff},
		{"everything", 0, 1<<32 - 1},
	} {
		b.Run(tt.name, func(b *testing.B) {
			c := mustCells(b, make([]uint64, CellWords(8)), 8)
			for b.Loop() {
				c.Add(tt.first, tt.last)
				c.Remove(tt.first, tt.last)
			}
		})
	}
}
