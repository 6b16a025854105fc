package table

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
)

// traffic is how the addresses of a table divide while a reader looks: what it finds of the first
// two kinds is certain.
type traffic[K comparable] struct {
	stays []K // in the table all the time, some being renewed
	never []K // never put
	moves []K // put and removed
}

// divide puts what stays between addresses that move, so that it is spread over the probe range.
func divide[K comparable](s subject[K], keys []K) traffic[K] {
	var w traffic[K]
	for i, k := range keys {
		switch {
		case i%3 == 2:
			w.never = append(w.never, k)
		case !s.Put(k, Entry{Class: 1, Expiry: 1}):
		case i%3 == 1:
			w.stays = append(w.stays, k)
		default:
			w.moves = append(w.moves, k)
		}
	}
	return w
}

// change applies the n-th of an endless row of changes: renewals of what stays, and the rest comes
// and goes.
func (w traffic[K]) change(s subject[K], n, pick int) {
	if n%4 == 3 {
		k := w.stays[pick%len(w.stays)]
		s.Put(k, Entry{Class: uint8(n % 4), Expiry: uint32(1 + n%100), Hits: 1})
		return
	}
	k := w.moves[pick%len(w.moves)]
	if !s.Remove(k) {
		s.Put(k, Entry{Class: 2, Expiry: NoEnd, Hits: 2})
	}
}

// wrong says what of a reader's finding cannot be, in words, or "".
func (w traffic[K]) wrong(pick int, stays bool, find func(K) uint64) string {
	if stays {
		if find(w.stays[pick%len(w.stays)]) == 0 {
			return "an address that stays was not found"
		}
	} else if find(w.never[pick%len(w.never)]) != 0 {
		return "an address that never was there was found"
	}
	return ""
}

// steps turns a body into one that a test advances: it is handed a function that gives control back.
func steps(body func(pause func())) (next func() bool, stop func()) {
	advance, stop := iter.Pull(func(yield func(struct{}) bool) {
		on := true
		body(func() { on = on && yield(struct{}{}) })
	})
	return func() bool { _, more := advance(); return more }, stop
}

// interleave runs lookups and changes, switching between single loads and single stores in an order
// that random gives, and says what went wrong.
func interleave[K comparable](s subject[K], r *reader, keys []K, find func(K) uint64, random *rand.Rand) string {
	w := divide(s, keys)
	if len(w.stays) == 0 || len(w.moves) == 0 || len(w.never) == 0 {
		return "not one address of each kind found room"
	}
	write, stopWrite := steps(func(pause func()) {
		s.mem.stored = pause
		for n := range 1000 {
			w.change(s, n, random.IntN(100))
		}
	})
	defer stopWrite()
	var wrong string
	read, stopRead := steps(func(pause func()) {
		r.stepped = pause
		for n := range 60 {
			wrong = cmp.Or(wrong, w.wrong(random.IntN(100), n%2 == 0, find))
		}
	})
	defer stopRead()
	for more := true; more; {
		for range random.IntN(13) {
			write()
		}
		for range 1 + random.IntN(4) {
			more = read()
		}
	}
	return wrong
}

func TestALookupIsRightWhateverTheWriterDoesBetweenItsLoads(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		lines, key := 8+int(seed%3), [2]uint64{random.Uint64() | 1, random.Uint64() | 1}
		mem4, mem6 := make([]uint64, lines*LineWords), make([]uint64, lines*LineWords)
		s4, err := newSubject4(mem4, lines, key)
		if err != nil {
			t.Fatal(err)
		}
		r := &reader{words: mem4, key: key, lines: lines}
		if wrong := interleave(s4, r, addresses4(9*lines), r.find4, random); wrong != "" {
			t.Fatalf("IPv4, seed %d: %s", seed, wrong)
		}
		s6, err := newSubject6(mem6, lines, key)
		if err != nil {
			t.Fatal(err)
		}
		r = &reader{words: mem6, key: key, lines: lines}
		if wrong := interleave(s6, r, addresses6(5), r.find6, random); wrong != "" {
			t.Fatalf("IPv6, seed %d: %s", seed, wrong)
		}
	}
}

// Another process reads the table for its list of bans while the writer changes it.
func TestAWalkShowsNoAddressThatNeverWasThere(t *testing.T) {
	for loads := range 20 {
		mem := make([]uint64, MinLines*LineWords)
		writer, err := NewHosts6(mem, MinLines, mixingKey())
		if err != nil {
			t.Fatal(err)
		}
		a, b := Key6{Hi: 1, Lo: 1}, Key6{Hi: 2, Lo: 2}
		for Share(Hash6(a, mixingKey()), MinLines) != Share(Hash6(b, mixingKey()), MinLines) { // b takes the slot of a
			b.Lo++
		}
		writer.Put(a, Entry{Expiry: 1})
		reader, err := NewHosts6(mem, MinLines, mixingKey())
		if err != nil {
			t.Fatal(err)
		}
		left := loads
		reader.mem.loading = func() {
			if left == 0 {
				writer.Remove(a)
				writer.Put(b, Entry{Expiry: 1})
			}
			left--
		}
		for k := range reader.All() {
			if k != a && k != b {
				t.Errorf("after %d loads the walk shows %v, which never was in the table", loads, k)
			}
		}
	}
}

const stressChanges = 200_000

// stress has readers look without pause, on CPUs of their own if there are any, at a table that is
// changed.
func stress[K comparable](t *testing.T, s subject[K], keys []K, find func(K) uint64) {
	w := divide(s, keys)
	var (
		readers sync.WaitGroup
		done    = make(chan struct{})
		wrong   = make(chan string, 2)
	)
	// runReader looks for addresses of one kind; it ends when done is closed or at a wrong answer.
	runReader := func(stays bool) {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			if err := w.wrong(n, stays, find); err != "" {
				wrong <- err
				return
			}
		}
	}
	readers.Go(func() { runReader(true) })
	readers.Go(func() { runReader(false) })
	for n := range stressChanges {
		w.change(s, n, n*7)
	}
	close(done)
	readers.Wait()
	close(wrong)
	for err := range wrong {
		t.Error(err)
	}
}

func TestReadersOnOtherCPUsAreRightWhileTheTableChanges(t *testing.T) {
	key := mixingKey()
	t.Run("IPv4", func(t *testing.T) {
		mem := make([]uint64, 10*LineWords)
		s, err := newSubject4(mem, 10, key)
		if err != nil {
			t.Fatal(err)
		}
		stress(t, s, addresses4(90), (&reader{words: mem, key: key, lines: 10}).find4)
	})
	t.Run("IPv6", func(t *testing.T) {
		mem := make([]uint64, 8*LineWords)
		s, err := newSubject6(mem, 8, key)
		if err != nil {
			t.Fatal(err)
		}
		stress(t, s, addresses6(6), (&reader{words: mem, key: key, lines: 8}).find6)
	})
}
