package bucket

import (
	"time"

	"gabion/userspace/event"
	"gabion/userspace/expr"
)

// Room is memory for the offers of a batch of events and their matches, to be used again for the next
// batch. The zero Room is ready for use. It belongs to one goroutine at a time.
type Room struct {
	offers  chunks[Offer]
	matches chunks[Match]
	copies  chunks[detachedOffer]
	vars    expr.Vars // of the last offer
}

// detachedOffer is an offer of an event of its own.
type detachedOffer struct {
	event event.Event
	offer Offer
}

// Offer is NewOffer in the room: it and its matches are good until Reset. It is for scenarios whose
// Requires the event fulfils, and nobody else. An offer ends the one before.
func (r *Room) Offer(evt *event.Event, t time.Time) *Offer {
	o := r.offers.next()
	r.vars.Renew(evt)
	o.event, o.time, o.vars, o.room = evt, t, &r.vars, r
	return o
}

// Reset makes the room empty: no table may have to pour one of its matches any more.
func (r *Room) Reset() {
	r.offers.reset()
	r.matches.reset()
	r.vars.Renew(nil)
	r.copies.each(func(c *detachedOffer) {
		meta, parsed := c.event.Meta, c.event.Parsed
		meta.Reset()
		parsed.Reset()
		c.event = event.Event{Meta: meta, Parsed: parsed} // the rest is shared with the event it is a copy of
		c.offer = Offer{}
	})
	r.copies.used = 0
}

// newMatch returns an empty match, in the offer's room if it has one.
func (o *Offer) newMatch() *Match {
	if o.room == nil {
		return &Match{}
	}
	return o.room.matches.next()
}

// chunkLen is how many values are allocated together.
const chunkLen = 32

// chunks is a list that grows without moving its values.
type chunks[T any] struct {
	all  []*[chunkLen]T
	used int
}

func (c *chunks[T]) next() *T {
	at := c.used / chunkLen
	if at == len(c.all) {
		c.all = append(c.all, new([chunkLen]T))
	}
	c.used++
	return &c.all[at][(c.used-1)%chunkLen]
}

// each calls f with every value.
func (c *chunks[T]) each(f func(*T)) {
	for i := range c.used {
		f(&c.all[i/chunkLen][i%chunkLen])
	}
}

// reset empties the list. It keeps the memory, so it lets go of what the values point to.
func (c *chunks[T]) reset() {
	for i := 0; i*chunkLen < c.used; i++ {
		clear(c.all[i][:])
	}
	c.used = 0
}
