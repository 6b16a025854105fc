package bucket

import "gabion/userspace/bucket/arena"

// deadlines is a heap of rows, earliest first. A row's deadline may move later at any time without
// telling the heap, which keeps pouring an event into a bucket free of heap work: row.at is the time
// that the heap knows, corrected when the row comes to the top.
type deadlines struct {
	rows arena.Vector[uint32]
}

func (d *deadlines) len() int { return d.rows.Len() }

// push adds a row that is due at the given time.
func (d *deadlines) push(t *Table, row uint32, due int64) {
	t.row(row).at = due
	d.rows.Push(row)
	d.up(t, d.rows.Len()-1)
}

// remove takes out a row, which must be in the heap.
func (d *deadlines) remove(t *Table, row uint32) {
	i, last := int(t.row(row).place), d.rows.Len()-1
	moved := *d.rows.At(last)
	d.rows.Pop()
	if i == last {
		return
	}
	d.set(t, i, moved)
	d.down(t, i)
	d.up(t, int(t.row(moved).place))
}

// first returns the row that is due next and its time; ok is false when the heap is empty.
func (d *deadlines) first(t *Table, p *population) (row uint32, due int64, ok bool) {
	for d.rows.Len() > 0 {
		row := *d.rows.At(0)
		r := t.row(row)
		due := p.due(r)
		if due <= r.at {
			return row, due, true
		}
		r.at = due
		d.down(t, 0)
	}
	return 0, 0, false
}

func (d *deadlines) up(t *Table, i int) {
	row := *d.rows.At(i)
	at := t.row(row).at
	for i > 0 {
		parent := (i - 1) / 2
		above := *d.rows.At(parent)
		if t.row(above).at <= at {
			break
		}
		d.set(t, i, above)
		i = parent
	}
	d.set(t, i, row)
}

func (d *deadlines) down(t *Table, i int) {
	row := *d.rows.At(i)
	at := t.row(row).at
	for {
		child := 2*i + 1
		if child >= d.rows.Len() {
			break
		}
		below := *d.rows.At(child)
		if child+1 < d.rows.Len() {
			if right := *d.rows.At(child + 1); t.row(right).at < t.row(below).at {
				child, below = child+1, right
			}
		}
		if at <= t.row(below).at {
			break
		}
		d.set(t, i, below)
		i = child
	}
	d.set(t, i, row)
}

func (d *deadlines) set(t *Table, i int, row uint32) {
	*d.rows.At(i) = row
	t.row(row).place = uint32(i)
}
