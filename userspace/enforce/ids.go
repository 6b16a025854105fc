package enforce

import (
	"crypto/rand"
	"fmt"
)

// maxRevoked is how many ended decisions are remembered. An older one that is still in the kernel,
// because deleting it failed all the time, is looked up in the record.
const maxRevoked = 1 << 16

// idRing remembers the last ids given to it. The zero value is empty and ready.
type idRing struct {
	ids  []uint64
	next int
	in   map[uint64]struct{}
}

func (r *idRing) add(id uint64) {
	if r.has(id) {
		return
	}
	if r.in == nil {
		r.in = map[uint64]struct{}{}
	}
	r.in[id] = struct{}{}
	if len(r.ids) < maxRevoked {
		r.ids = append(r.ids, id)
		return
	}
	delete(r.in, r.ids[r.next])
	r.ids[r.next] = id
	r.next = (r.next + 1) % maxRevoked
}

func (r *idRing) has(id uint64) bool {
	_, ok := r.in[id]
	return ok
}

// newUUID returns a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: the runtime ends the program when there is no randomness
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
