package grok

// Index says in one pass over a text which of several patterns it cannot match. It is immutable and
// safe for concurrent use.
type Index struct {
	grams  [1 << gramBits]Candidates // by hash of four bytes in a row: patterns that require these
	always Candidates                // patterns that require no four bytes in a row
}

const (
	gramLen  = 4
	gramBits = 9
)

// Candidates is a set of patterns by their number, of which those from 64 on are always part.
type Candidates uint64

// Has says whether pattern i may match.
func (c Candidates) Has(i int) bool { return i >= 64 || c>>i&1 == 1 }

// NewIndex returns the index of patterns, which have the numbers of their places.
func NewIndex(patterns []*Pattern) *Index {
	users := map[uint32]int{} // by hash: how many patterns would come up with it
	for _, p := range patterns {
		seen := map[uint32]bool{}
		for _, l := range p.prog.Literals() {
			for i := range len(l) - gramLen + 1 {
				if h := gram(l[i:]); !seen[h] {
					seen[h] = true
					users[h]++
				}
			}
		}
	}
	x := &Index{}
	for i, p := range patterns[:min(len(patterns), 64)] {
		if h, ok := rarest(p.prog.Literals(), users); ok {
			x.grams[h] |= 1 << i
		} else {
			x.always |= 1 << i
		}
	}
	return x
}

// rarest returns the hash of the four bytes of literals that tell least other patterns.
func rarest(literals []string, users map[uint32]int) (best uint32, ok bool) {
	for _, l := range literals {
		for i := range len(l) - gramLen + 1 {
			if h := gram(l[i:]); !ok || users[h] < users[best] {
				best, ok = h, true
			}
		}
	}
	return best, ok
}

// gram hashes the four bytes that s begins with.
func gram(s string) uint32 {
	_ = s[gramLen-1]
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) * 0x9E3779B1 >> (32 - gramBits)
}

// Candidates returns the patterns that text may match: all that do, and some that do not.
func (x *Index) Candidates(text string) Candidates {
	found := x.always
	for i := range len(text) - gramLen + 1 {
		found |= x.grams[gram(text[i:])]
	}
	return found
}
