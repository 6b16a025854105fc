package bucket

// timed is something that a deadlines heap can hold. Its due time may move later at any time
// without telling the heap, which keeps pouring an event into a bucket free of heap work.
type timed interface {
	due() int64
	place() *int32 // where the heap keeps its index of the entry
}

// deadlines is a heap of entries, earliest first. The time it keeps for an entry is a lower bound
// of the entry's own, corrected when the entry comes to the top.
type deadlines[E timed] struct {
	slots []slot[E]
}

type slot[E timed] struct {
	at    int64
	entry E
}

func (d *deadlines[E]) len() int { return len(d.slots) }

func (d *deadlines[E]) push(e E) {
	d.slots = append(d.slots, slot[E]{e.due(), e})
	d.up(len(d.slots) - 1)
}

// remove takes out e, which must be in the heap.
func (d *deadlines[E]) remove(e E) {
	i, last := int(*e.place()), len(d.slots)-1
	moved := d.slots[last]
	d.slots[last] = slot[E]{}
	d.slots = d.slots[:last]
	if i == last {
		return
	}
	d.slots[i] = moved
	d.down(i)
	d.up(int(*moved.entry.place()))
}

// first returns the entry that is due next and its time; ok is false when the heap is empty.
func (d *deadlines[E]) first() (e E, at int64, ok bool) {
	for len(d.slots) > 0 {
		top := &d.slots[0]
		due := top.entry.due()
		if due <= top.at {
			return top.entry, due, true
		}
		top.at = due
		d.down(0)
	}
	return e, 0, false
}

func (d *deadlines[E]) up(i int) {
	s := d.slots[i]
	for i > 0 {
		parent := (i - 1) / 2
		if d.slots[parent].at <= s.at {
			break
		}
		d.set(i, d.slots[parent])
		i = parent
	}
	d.set(i, s)
}

func (d *deadlines[E]) down(i int) {
	s := d.slots[i]
	for {
		child := 2*i + 1
		if child >= len(d.slots) {
			break
		}
		if right := child + 1; right < len(d.slots) && d.slots[right].at < d.slots[child].at {
			child = right
		}
		if s.at <= d.slots[child].at {
			break
		}
		d.set(i, d.slots[child])
		i = child
	}
	d.set(i, s)
}

func (d *deadlines[E]) set(i int, s slot[E]) {
	d.slots[i] = s
	*s.entry.place() = int32(i)
}
