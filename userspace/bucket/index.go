package bucket

// index finds rows by ID: an open hash table of row numbers plus one, 0 for an empty place. The IDs
// themselves are in the rows.
type index struct {
	places []uint32
	used   int
}

// minPlaces is the size of an index that has something in it. Sizes are powers of two.
const minPlaces = 16

// find returns the row with an ID. ok is false when there is none.
func (x *index) find(t *Table, id ID) (row uint32, ok bool) {
	if x.used == 0 {
		return 0, false
	}
	mask := uint64(len(x.places) - 1)
	for i := id.both & mask; x.places[i] != 0; i = (i + 1) & mask {
		if row := x.places[i] - 1; t.row(row).id == id {
			return row, true
		}
	}
	return 0, false
}

// add adds a row whose ID is not in the index.
func (x *index) add(t *Table, row uint32) {
	if 4*(x.used+1) > 3*len(x.places) {
		x.grow(t)
	}
	x.put(t.row(row).id.both, row+1)
	x.used++
}

func (x *index) put(hash uint64, place uint32) {
	mask := uint64(len(x.places) - 1)
	i := hash & mask
	for x.places[i] != 0 {
		i = (i + 1) & mask
	}
	x.places[i] = place
}

func (x *index) grow(t *Table) {
	old := x.places
	x.places = make([]uint32, max(minPlaces, 2*len(old)))
	for _, place := range old {
		if place != 0 {
			x.put(t.row(place-1).id.both, place)
		}
	}
}

// remove takes out a row, and moves those behind it that would not be found any more.
func (x *index) remove(t *Table, row uint32) {
	mask := uint64(len(x.places) - 1)
	gap := t.row(row).id.both & mask
	for x.places[gap] != row+1 {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.places[i] != 0; i = (i + 1) & mask {
		home := t.row(x.places[i]-1).id.both & mask
		if (i-home)&mask >= (i-gap)&mask { // its home is not behind the gap
			x.places[gap] = x.places[i]
			gap = i
		}
	}
	x.places[gap] = 0
	x.used--
}
