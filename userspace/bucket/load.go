package bucket

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"gabion/userspace/bucket/arena"
	"gabion/userspace/event"
)

// Loaded says what came of saved buckets.
type Loaded struct {
	SavedAt time.Time
	Buckets int
	Mutes   int            // blackholes
	Expired int            // buckets and blackholes that ended meanwhile
	Dropped map[string]int // buckets by scenario, of those that changed or are gone
	Refused int            // buckets for which there is no room
}

// Loader reads saved buckets into new tables.
type Loader struct {
	frames *frameReader
	now    int64
	byID   map[uint64]*savedScenario
	key    Hasher
	names  *Names
	found  Loaded
	pieces uint64
	tables []*Table
	shared []map[uint64][]arena.Ref // records by hash, of each table
}

// savedScenario is a scenario that a file has buckets of.
type savedScenario struct {
	name string
	now  *Scenario // nil when it changed or is gone
}

// NewLoader begins to read a file at time now. The tables must be made with the loader's Hasher and
// Names; buckets are loaded for those scenarios that are as they were.
func NewLoader(r io.Reader, scenarios []*Scenario, now time.Time) (*Loader, error) {
	frames, err := newFrameReader(r)
	if err != nil {
		return nil, err
	}
	kind, content, err := frames.next()
	if err != nil {
		return nil, err
	}
	if kind != frameHeader {
		return nil, damaged("the header is missing")
	}
	l := &Loader{frames: frames, now: now.UnixNano(), byID: map[uint64]*savedScenario{}, names: NewNames()}
	in := &input{b: content}
	l.found = Loaded{SavedAt: stamp(in.time()), Dropped: map[string]int{}}
	if key := in.bytes(hasherSize); key != nil {
		l.key = hasherOf(key)
	}
	known := map[uint64]*Scenario{}
	for _, s := range scenarios {
		known[s.number] = s
	}
	for range in.count(8 + 8 + 1) {
		number, shape := in.uint64(), in.uint64()
		saved := &savedScenario{name: in.text()}
		if s := known[number]; s != nil && s.kind != kindTrigger && s.shape() == shape {
			saved.now = s
		}
		l.byID[number] = saved
	}
	if in.bad || len(in.b) > 0 {
		return nil, damaged("the header is not whole")
	}
	return l, nil
}

// Hasher returns the one that made the IDs.
func (l *Loader) Hasher() Hasher { return l.key }

// Names returns those of the records. They are complete when Load has returned.
func (l *Loader) Names() *Names { return l.names }

// Load reads all buckets into the tables, each into that of its shard. With an error the tables hold
// some of them and must be thrown away.
func (l *Loader) Load(tables []*Table) (Loaded, error) {
	l.tables, l.shared = tables, make([]map[uint64][]arena.Ref, len(tables))
	for i := range l.shared {
		l.shared[i] = map[uint64][]arena.Ref{}
	}
	for {
		kind, content, err := l.frames.next()
		if err != nil {
			return Loaded{}, err
		}
		in := &input{b: content}
		switch kind {
		case frameNames:
			err = l.readNames(in)
		case frameBuckets:
			l.pieces++
			err = l.readBuckets(in)
		case frameEnd:
			if in.uvarint() != l.pieces || in.bad {
				return Loaded{}, damaged("parts are missing")
			}
			l.letGo()
			return l.found, nil
		default:
			err = damaged("a part of unknown kind %q", kind)
		}
		if err != nil {
			return Loaded{}, err
		}
	}
}

// letGo releases the records that the next buckets might have shared.
func (l *Loader) letGo() {
	for i, t := range l.tables {
		for _, records := range l.shared[i] {
			for _, r := range records {
				t.release(r)
			}
		}
	}
}

func (l *Loader) readNames(in *input) error {
	for len(in.b) > 0 {
		keys := l.names.keys.Load().list
		i := in.uvarint()
		if i > uint64(len(keys)) || i > 2*maxNames {
			return damaged("a key is out of order")
		}
		if i == uint64(len(keys)) {
			if id, _ := l.names.add(in.text()); id != i {
				return damaged("a key comes twice")
			}
			keys = l.names.keys.Load().list
		}
		for range in.count(1) {
			n := uint64(len(keys[i].values.Load().list))
			if id := l.names.addValue(keys[i], in.text()); id != n || n > 2*maxValues {
				return damaged("a value comes twice")
			}
		}
	}
	if in.bad {
		return damaged("a list of names is not whole")
	}
	return nil
}

func (l *Loader) readBuckets(in *input) error {
	for len(in.b) > 0 {
		flags := in.byte()
		var err error
		if flags&savedMute != 0 {
			l.readMute(in, flags&savedReplay != 0)
		} else {
			err = l.readBucket(in, flags&savedReplay != 0)
		}
		if err != nil {
			return err
		}
	}
	if in.bad {
		return damaged("a list of buckets is not whole")
	}
	return nil
}

func (l *Loader) table(id ID) (*Table, map[uint64][]arena.Ref) {
	i := id.Shard(len(l.tables))
	return l.tables[i], l.shared[i]
}

func (l *Loader) readMute(in *input, replay bool) {
	id := ID{in.uint64(), in.uint64()}
	until := in.time()
	t, _ := l.table(id)
	if _, exists := t.index.find(t, id); in.bad || exists {
		return
	}
	if !replay && until <= l.now {
		l.found.Expired++
		return
	}
	if p := t.mutesOf(replay); p.buckets.len() >= t.config.MaxBuckets {
		l.found.Refused++
		return
	}
	t.enterMute(id, until, replay)
	l.found.Mutes++
}

// savedBucket is a bucket as a file has it.
type savedBucket struct {
	row
	number  uint64
	seen    []uint64
	records []savedRecord
	scopes  []savedScope // of the events in the queue, which are the first records
	words   []uint64
}

type savedRecord struct {
	packed string
	whole  *event.Event
}

type savedScope struct {
	kind byte
	text string
}

func (l *Loader) readBucket(in *input, replay bool) error {
	var b savedBucket
	b.number = in.uint64()
	b.id = ID{in.uint64(), in.uint64()}
	b.first, b.last = in.time(), in.time()
	b.limit = limiter{tokens: math.Float64frombits(in.uint64()), last: in.time()}
	b.total = uint32(in.uvarint())
	for range in.count(hashSize) {
		b.seen = append(b.seen, in.uint64())
	}
	for range in.count(2) {
		r := savedRecord{packed: in.text()}
		if whole := in.text(); whole != "" {
			var e savedEvent
			if err := json.Unmarshal([]byte(whole), &e); err != nil {
				return damaged("an event: %v", err)
			}
			r.whole = e.event()
		}
		b.records = append(b.records, r)
	}
	for range in.count(1) {
		s := savedScope{kind: in.byte()}
		if s.kind == scopeText {
			s.text = in.text()
		}
		b.scopes = append(b.scopes, s)
	}
	for range in.count(1) {
		b.words = append(b.words, in.uvarint())
	}
	saved := l.byID[b.number]
	switch {
	case in.bad:
		return damaged("a bucket is not whole")
	case saved == nil: // a reload brought it while the buckets were saved
		l.found.Dropped["unknown"]++
		return nil
	case saved.now == nil:
		l.found.Dropped[saved.name]++
		return nil
	}
	if err := b.check(saved.now, l.names); err != nil {
		return fmt.Errorf("%w, in a bucket of %s", err, saved.name)
	}
	l.take(&b, saved.now, replay)
	return nil
}

// take puts a bucket that was checked into its table, unless its time is over.
func (l *Loader) take(b *savedBucket, s *Scenario, replay bool) {
	t, shared := l.table(b.id)
	_, exists := t.index.find(t, b.id)
	switch {
	case exists:
	case !replay && !s.timed && addTime(b.last, s.lifetime) < l.now: // a timed bucket has still to overflow
		l.found.Expired++
	case t.live >= t.config.MaxBuckets || t.bytes >= t.config.MaxBytes:
		l.found.Refused++
	default:
		t.restore(b, s, replay, shared)
		l.found.Buckets++
	}
}
