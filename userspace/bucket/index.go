package bucket

// index finds rows by ID: an open hash table of row numbers plus one, with half of the hash above, so
// that only rows which are surely meant are looked at. 0 is an empty place.
type index struct {
	places []uint64
	used   int
}

// minPlaces is the size of an index that has something in it. Sizes are powers of two.
const minPlaces = 16

// hashBits are those of an ID that the index goes by.
func hashBits(id ID) uint64 { return id.both << 32 }

// home returns where an entry belongs.
func (x *index) home(entry uint64) uint64 { return entry >> 32 & uint64(len(x.places)-1) }

// find returns the row with an ID. ok is false when there is none.
func (x *index) find(t *Table, id ID) (row uint32, ok bool) {
	if x.used == 0 {
		return 0, false
	}
	hash, mask := hashBits(id), uint64(len(x.places)-1)
	for i := x.home(hash); x.places[i] != 0; i = (i + 1) & mask {
		if entry := x.places[i]; entry&^(1<<32-1) == hash {
			if row := uint32(entry) - 1; t.row(row).id == id {
				return row, true
			}
		}
	}
	return 0, false
}

// add adds a row whose ID is not in the index.
func (x *index) add(t *Table, row uint32) {
	if 4*(x.used+1) > 3*len(x.places) {
		old := x.places
		x.places = make([]uint64, max(minPlaces, 2*len(old)))
		for _, entry := range old {
			if entry != 0 {
				x.put(entry)
			}
		}
	}
	x.put(hashBits(t.row(row).id) | uint64(row+1))
	x.used++
}

func (x *index) put(entry uint64) {
	mask := uint64(len(x.places) - 1)
	i := x.home(entry)
	for x.places[i] != 0 {
		i = (i + 1) & mask
	}
	x.places[i] = entry
}

// remove takes out a row, and moves those behind it that would not be found any more.
func (x *index) remove(t *Table, row uint32) {
	entry, mask := hashBits(t.row(row).id)|uint64(row+1), uint64(len(x.places)-1)
	gap := x.home(entry)
	for x.places[gap] != entry {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.places[i] != 0; i = (i + 1) & mask {
		if (i-x.home(x.places[i]))&mask >= (i-gap)&mask { // its home is not behind the gap
			x.places[gap] = x.places[i]
			gap = i
		}
	}
	x.places[gap] = 0
	x.used--
}
