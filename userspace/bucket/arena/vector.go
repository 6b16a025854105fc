package arena

import "unsafe"

// Vector is an array that grows without moving: a pointer to an element stays valid. T must not
// contain pointers.
type Vector[T any] struct {
	space  *Space
	chunks [][]T
	n      int
}

// NewVector returns an empty vector in a space.
func NewVector[T any](space *Space) Vector[T] { return Vector[T]{space: space} }

// Len returns the number of elements.
func (v *Vector[T]) Len() int { return v.n }

// At returns element i, which is valid until it is popped.
func (v *Vector[T]) At(i int) *T {
	per := v.perChunk()
	return &v.chunks[i/per][i%per]
}

// Push appends an element.
func (v *Vector[T]) Push(x T) {
	per := v.perChunk()
	if v.n == len(v.chunks)*per {
		c := v.space.take()
		v.chunks = append(v.chunks, unsafe.Slice((*T)(unsafe.Pointer(&c[0])), per))
	}
	v.chunks[v.n/per][v.n%per] = x
	v.n++
}

// Pop removes the last element.
func (v *Vector[T]) Pop() {
	v.n--
	if per, last := v.perChunk(), len(v.chunks)-1; v.n <= (last-1)*per { // one chunk stays in reserve
		v.drop(last)
	}
}

// Reset removes all elements.
func (v *Vector[T]) Reset() {
	for i := len(v.chunks) - 1; i >= 0; i-- {
		v.drop(i)
	}
	v.n = 0
}

func (v *Vector[T]) drop(last int) {
	c := v.chunks[last]
	v.space.give(unsafe.Slice((*byte)(unsafe.Pointer(&c[0])), chunkSize))
	v.chunks[last] = nil
	v.chunks = v.chunks[:last]
}

func (v *Vector[T]) perChunk() int {
	var x T
	return chunkSize / int(unsafe.Sizeof(x))
}
