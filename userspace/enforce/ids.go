package enforce

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
