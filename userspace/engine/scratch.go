package engine

import "gabion/userspace/bucket"

// scratch is memory of a job, to be used again by another once nobody reads it any more.
type scratch struct {
	room  bucket.Room // of the matches
	pours [][]pour    // by shard
}

// lend gives a job scratch that was used before, if there is some.
func (e *Engine) lend(j *job) {
	s, ok := e.scratch.Get().(*scratch)
	if !ok {
		s = &scratch{pours: make([][]pour, len(e.shards))}
	}
	j.lent, j.room = s, &s.room
	for i := range j.parts {
		j.parts[i].pours = s.pours[i]
	}
}

// reclaim takes the scratch of a job back. Nobody may pour for the job any more.
func (e *Engine) reclaim(j *job) {
	s := j.lent
	if s == nil {
		return
	}
	j.lent = nil
	for i := range j.parts {
		pours := j.parts[i].pours
		clear(pours[:cap(pours)]) // rounds of overflows come after each other in it
		s.pours[i], j.parts[i].pours = pours[:0], nil
	}
	s.room.Reset()
	e.scratch.Put(s)
}
