package logs

import "math/bits"

// random is a generator of its own (splitmix64), because the logs must be the same with every
// release of Go.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	x := r.state
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below returns a number from 0 to n-1; n is above 0.
func (r *random) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// between returns a number from a to b.
func (r *random) between(a, b int) int { return a + r.below(b-a+1) }

// chance is true n times of a thousand.
func (r *random) chance(n int) bool { return r.below(1000) < n }

// few returns a number from 0 to n-1, small ones more often: what is popular comes first.
func (r *random) few(n int) int { return r.below(1 + r.below(n)) }

func pick[T any](r *random, list []T) T { return list[r.below(len(list))] }

// length returns the number of lines of a session: in the mean that many thousandths. Nine of ten
// sessions are short, the others eleven times as long.
func (r *random) length(mean int) int {
	if r.chance(100) {
		mean = mean * 11 / 2
	} else {
		mean /= 2
	}
	const longest = 500
	n := 1
	for mean > 1000 && n < longest && r.below(mean) >= 1000 {
		n++
	}
	return n
}
