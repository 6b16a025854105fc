package table

import (
	"fmt"
	"iter"
	"sync/atomic"
	"unsafe"
)

const (
	// MaxNetBits is the longest prefix that Nets4 tells from another.
	MaxNetBits = 24

	topBits   = 16 // of an address: a leaf of the first level
	tops      = 1 << topBits
	inBlock   = 256               // leaves of a block, the second level
	chunk     = inBlock / 2       // words of a block, and of as many rules
	firstRule = uint32(tops) / 4  // the words before hold the first level
	minChunks = tops/inBlock + 1  // the first level, and a rule or two
	chunkLine = chunk / LineWords // lines of a chunk

	few = 128 // entries that are not worth a new table

	leafAsk   = uint32(1) << 31
	leafBlock = uint32(1) << 30
)

// Nets4 is the table of banned IPv4 networks: for each /24, which is the longest of those, up to 24
// bits, that cover it. It does not know longer prefixes, and may be short of room: where that
// matters, and where the network that it names turns out not to drop, readers ask the trie, which
// holds all there is. So the table answers for the trie and never instead of it.
//
// A leaf is 32 bits: the number of a rule, 0 for none, and whether to ask the trie. The first 2^16
// leaves stand for a /16 each. Where the parts of one differ, its leaf is the number of a block of 256
// leaves. Rules follow the first level, blocks are put from the end of memory backwards, and when
// the two meet the table is full. Neither is used twice, so nothing has to wait until readers are
// done with it; a table that is Worn gives way to a new one.
type Nets4 struct {
	*NetRules
	leaves []uint32 // the same memory
	blocks uint32   // the lowest number of a block in use

	live, most int // networks, now and at most
	stale      int // longer prefixes that went and left their mark behind
	full       bool

	// stored, unless nil, runs after every store: tests look there at what a reader would see.
	stored func()
}

// NetLines is the number of 64-byte lines for a table of these networks, with a quarter to spare.
func NetLines(nets iter.Seq[Net4]) int {
	var split [tops]bool
	rules, chunks := 0, 0
	for n := range nets {
		if n.Bits <= MaxNetBits {
			rules++
		}
		if top := n.Addr >> topBits; n.Bits > topBits && !split[top] {
			split[top] = true
			chunks++
		}
	}
	chunks += rules/(chunk/2) + 1
	return (minChunks + chunks + max(chunks/4, 16)) * chunkLine
}

// NewNets4 makes a table in memory that is all zero, of NetLines or so: fewer lines than a table
// without any network needs are refused.
func NewNets4(mem []uint64) (*Nets4, error) {
	chunks := len(mem) / chunk
	if chunks < minChunks {
		return nil, fmt.Errorf("make IPv4 network table: %d words of memory: %d are the least", len(mem), minChunks*chunk)
	}
	mem = mem[:chunks*chunk]
	return &Nets4{
		NetRules: ReadNetRules(mem),
		leaves:   unsafe.Slice((*uint32)(unsafe.Pointer(&mem[0])), 2*len(mem)),
		blocks:   uint32(chunks),
	}, nil
}

func (t *Nets4) storeWord(i uint32, w uint64) {
	atomic.StoreUint64(&t.words[i], w)
	if t.stored != nil {
		t.stored()
	}
}

func (t *Nets4) leaf(i uint32) uint32 { return atomic.LoadUint32(&t.leaves[i]) }

func (t *Nets4) storeLeaf(i, leaf uint32) {
	if t.leaf(i) == leaf {
		return
	}
	atomic.StoreUint32(&t.leaves[i], leaf)
	if t.stored != nil {
		t.stored()
	}
}

// Put writes the entry of a network. One that is there already changes in one store and keeps its
// hits; a new one has none. An entry that the layout cannot hold, and a prefix longer than
// MaxNetBits, is left to the trie, and so is one for which there is no room, with all that is in it.
// The trie must have the entry before.
func (t *Nets4) Put(n Net4, e Entry) {
	if n.Bits > MaxNetBits {
		t.ask(n)
		return
	}
	if !e.valid() {
		e = Entry{Expiry: 1} // over, so that readers ask
	}
	state := uint64(n.Addr>>8)<<40 | uint64(n.Bits)<<32 | e.state()
	if rule := t.find(n); rule != 0 {
		t.storeWord(2*rule, state)
		return
	}
	rule, ok := t.place(n)
	if !ok {
		t.full = true
		t.ask(n)
		return
	}
	t.storeWord(2*rule+1, 0)
	t.storeWord(2*rule, state)
	t.rules[n] = rule
	t.live++
	t.most = max(t.most, t.live)
	t.change(n, func(leaf uint32) uint32 {
		if was := leaf &^ leafAsk; was != 0 && uint8(t.state(was)>>32) > n.Bits {
			return leaf
		}
		return leaf&leafAsk | rule
	})
}

// place finds the number for a new rule, and sees to it that the network has leaves of its own. The
// rule of one that was removed goes to the same network again.
func (t *Nets4) place(n Net4) (rule uint32, ok bool) {
	if n.Bits > topBits && !t.split(n.Addr>>topBits) {
		return 0, false
	}
	if rule, ok := t.rules[n]; ok {
		return rule, true
	}
	if 2*(t.next+2) > chunk*t.blocks { // a word of 0 follows the last rule
		return 0, false
	}
	t.next++
	return t.next - 1, true
}

// split gives a /16 a block of leaves, unless it has one.
func (t *Nets4) split(top uint32) bool {
	leaf := t.leaf(top)
	if leaf&leafBlock != 0 {
		return true
	}
	if 2*(t.next+1) > chunk*(t.blocks-1) {
		return false
	}
	t.blocks--
	for i := range uint32(inBlock) {
		t.storeLeaf(t.blocks*inBlock+i, leaf)
	}
	t.storeLeaf(top, leafBlock|t.blocks)
	return true
}

// change applies a function to every leaf of a network, which for one longer than a /16 are in a block.
func (t *Nets4) change(n Net4, to func(uint32) uint32) {
	each := func(first, n uint32) {
		for i := first; i < first+n; i++ {
			t.storeLeaf(i, to(t.leaf(i)))
		}
	}
	if n.Bits > topBits {
		block := t.leaf(n.Addr>>topBits) &^ leafBlock
		each(block*inBlock+n.Addr>>8&(inBlock-1), 1<<(MaxNetBits-min(n.Bits, MaxNetBits)))
		return
	}
	first := n.Addr >> topBits
	for top := first; top < first+1<<(topBits-n.Bits); top++ {
		if leaf := t.leaf(top); leaf&leafBlock != 0 {
			each((leaf&^leafBlock)*inBlock, inBlock)
		} else {
			t.storeLeaf(top, to(leaf))
		}
	}
}

// ask sends readers of a network to the trie, and those of the whole /16 when it can have no block.
func (t *Nets4) ask(n Net4) {
	if n.Bits > topBits && !t.split(n.Addr>>topBits) {
		t.full = true
		n = n.at(topBits)
	}
	t.change(n, func(leaf uint32) uint32 { return leaf | leafAsk })
}

// Remove takes a network out, if it is in the table.
func (t *Nets4) Remove(n Net4) {
	if n.Bits > MaxNetBits {
		t.stale++
		return
	}
	rule := t.find(n)
	if rule == 0 {
		return
	}
	cover := t.cover(n)
	t.change(n, func(leaf uint32) uint32 {
		if leaf&^leafAsk != rule {
			return leaf
		}
		return leaf&leafAsk | cover
	})
	t.storeWord(2*rule, t.state(rule)>>32<<32|removed)
	t.live--
}

// cover returns the rule of the longest of the networks around this one, 0 when there is none.
func (t *Nets4) cover(n Net4) uint32 {
	for bits := n.Bits; bits > 0; {
		bits--
		if rule := t.find(n.at(bits)); rule != 0 {
			return rule
		}
	}
	return 0
}

// Worn says that a new table would serve better: this one has no room, is much too large, or sends
// readers to the trie for prefixes that are gone.
func (t *Nets4) Worn() bool {
	return t.full || t.live+few < t.most/2 || t.stale > t.most/16+few
}
