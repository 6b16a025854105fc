package arena_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"gabion/userspace/bucket/arena"
)

func TestBlocksKeepTheirContentUntilTheyAreFreed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space := arena.NewSpace()
		defer space.Close()
		blocks := arena.NewBlocks(space)
		live := map[arena.Ref]byte{}
		size := rapid.OneOf(rapid.IntRange(0, 600), rapid.IntRange(0, arena.MaxBlock))
		for step := range rapid.IntRange(0, 600).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "action") < 6 {
				n := size.Draw(t, "size")
				r := blocks.Alloc(n)
				b := blocks.Bytes(r)
				if len(b) != arena.SizeOf(n) || len(b) < n || r == 0 {
					t.Fatalf("block %d for %d bytes has %d", r, n, len(b))
				}
				if _, twice := live[r]; twice {
					t.Fatalf("block %d was given out twice", r)
				}
				live[r] = byte(step)
				for i := range b {
					b[i] = byte(step)
				}
				continue
			}
			for r, fill := range live {
				if b := blocks.Bytes(r); !bytes.Equal(b, bytes.Repeat([]byte{fill}, len(b))) {
					t.Fatalf("block %d was overwritten", r)
				}
				blocks.Free(r)
				delete(live, r)
				break
			}
		}
		for r := range live {
			blocks.Free(r)
		}
		if got := space.Size(); got != 0 {
			t.Fatalf("%d bytes are in use after every block was freed", got)
		}
	})
}

func TestAVectorHoldsWhatWasPushed(t *testing.T) {
	type element struct{ a, b, c int32 }
	space := arena.NewSpace()
	defer space.Close()
	v := arena.NewVector[element](space)
	const n = 50_000
	for i := range n {
		v.Push(element{int32(i), 1, 2})
	}
	first := v.At(0)
	for i := range n {
		if got := *v.At(i); got != (element{int32(i), 1, 2}) {
			t.Fatalf("element %d = %v", i, got)
		}
	}
	for v.Len() > 1 {
		v.Pop()
	}
	if first != v.At(0) || first.a != 0 {
		t.Error("the first element moved")
	}
	if most := int64(3 * 64 << 10); space.Size() > most {
		t.Errorf("%d bytes are in use for one element", space.Size())
	}
	v.Reset()
	if space.Size() != 0 || v.Len() != 0 {
		t.Errorf("%d bytes and %d elements are left after a reset", space.Size(), v.Len())
	}
}
