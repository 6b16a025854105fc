// Package recent remembers results that cost much to compute: of a bounded number of keys, those
// used last.
package recent

import (
	"hash/maphash"
	"sync"
)

// Parts of a large cache, so that workers seldom wait for each other.
const (
	parts       = 16
	partedAbove = 1024
)

// Cache holds a bounded number of values by key. When it is full, the value unused for longest goes;
// a large cache consists of parts, each of which does so on its own. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	seed  maphash.Seed
	parts []part[K, V]
}

// New returns an empty cache of at most size values, at least one.
func New[K comparable, V any](size int) *Cache[K, V] {
	n := 1
	if size > partedAbove {
		n = parts
	}
	c := &Cache[K, V]{seed: maphash.MakeSeed(), parts: make([]part[K, V], n)}
	for i := range c.parts {
		c.parts[i].limit = max(size/n, 1)
		c.parts[i].places = map[K]int32{}
	}
	return c
}

// Get returns the value of a key, and whether there is one.
func (c *Cache[K, V]) Get(key K) (V, bool) { return c.part(key).get(key) }

// Put remembers the value of a key.
func (c *Cache[K, V]) Put(key K, value V) { c.part(key).put(key, value) }

// Len returns the number of values.
func (c *Cache[K, V]) Len() int {
	n := 0
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.Lock()
		n += len(p.places)
		p.mu.Unlock()
	}
	return n
}

func (c *Cache[K, V]) part(key K) *part[K, V] {
	if len(c.parts) == 1 {
		return &c.parts[0]
	}
	return &c.parts[maphash.Comparable(c.seed, key)%parts]
}

// part is a list of entries in one slice, linked in a ring in order of use.
type part[K comparable, V any] struct {
	mu      sync.Mutex
	limit   int
	places  map[K]int32
	entries []entry[K, V]
	newest  int32 // its next is the oldest
}

type entry[K comparable, V any] struct {
	key        K
	value      V
	prev, next int32 // prev was used before, next after; the newest's next is the oldest
}

func (p *part[K, V]) get(key K) (V, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.places[key]
	if !ok {
		var none V
		return none, false
	}
	p.use(i)
	return p.entries[i].value, true
}

func (p *part[K, V]) put(key K, value V) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.places[key]
	switch {
	case ok:
		p.use(i)
		p.entries[i].value = value
		return
	case len(p.entries) < p.limit:
		i = int32(len(p.entries))
		p.entries = append(p.entries, entry[K, V]{prev: i, next: i})
		if i > 0 {
			p.insert(i)
		}
		p.newest = i
	default:
		i = p.entries[p.newest].next
		delete(p.places, p.entries[i].key)
		p.newest = i // the oldest follows the newest in the ring already
	}
	p.entries[i].key, p.entries[i].value = key, value
	p.places[key] = i
}

// use makes an entry the newest.
func (p *part[K, V]) use(i int32) {
	if i == p.newest {
		return
	}
	e := &p.entries[i]
	p.entries[e.prev].next, p.entries[e.next].prev = e.next, e.prev
	p.insert(i)
	p.newest = i
}

// insert links an entry between the newest and the oldest.
func (p *part[K, V]) insert(i int32) {
	oldest := p.entries[p.newest].next
	p.entries[i].prev, p.entries[i].next = p.newest, oldest
	p.entries[p.newest].next, p.entries[oldest].prev = i, i
}
