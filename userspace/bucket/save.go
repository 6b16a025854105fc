package bucket

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"gabion/userspace/bucket/arena"
)

// Bits of the first byte of a saved row.
const (
	savedReplay = 1 << iota
	savedMute
)

const maxVarint = binary.MaxVarintLen64

// How the value of a scope expression is saved.
const (
	scopeNone = iota
	scopeText
	scopeError
)

// pieceRows and pieceBytes bound what Piece does at once: some tenths of a millisecond.
const (
	pieceRows  = 512
	pieceBytes = 256 << 10
)

// maxSavedQueue bounds the events that are saved of one bucket, in bytes. Of a longer queue the
// oldest events are left out; they still count.
const maxSavedQueue = maxFrame / 4

// Piece appends the next buckets and blackholes of the table to a piece of the file, beginning at
// row from. It returns the row to go on with, and whether there are more. Between two pieces the table
// may be poured into: each bucket is saved as it is when its turn comes.
func (t *Table) Piece(b []byte, from int) (piece []byte, next int, more bool) {
	for n := 0; from < t.rows.Len(); from++ {
		if n == pieceRows || len(b) >= pieceBytes {
			return b, from, true
		}
		n++
		if r := t.row(uint32(from)); r.used {
			b = t.appendRow(b, r)
		}
	}
	return b, from, false
}

func (t *Table) appendRow(b []byte, r *row) []byte {
	p := t.populations[r.of]
	start := len(b)
	var flags byte
	if p.replay {
		flags |= savedReplay
	}
	if p.mute {
		b = append(b, flags|savedMute)
		b = binary.LittleEndian.AppendUint64(b, r.id.key)
		b = binary.LittleEndian.AppendUint64(b, r.id.both)
		return binary.LittleEndian.AppendUint64(b, uint64(r.last))
	}
	b = append(b, flags)
	for _, v := range []uint64{
		p.number, r.id.key, r.id.both, uint64(r.first), uint64(r.last), math.Float64bits(r.limit.tokens), uint64(r.limit.last),
	} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.AppendUvarint(b, uint64(r.total))
	b = binary.AppendUvarint(b, uint64(r.seen.count))
	for hash := range r.seen.all(t.blocks) {
		b = binary.LittleEndian.AppendUint64(b, hash)
	}
	b, err := t.appendEvents(b, r, p)
	if err != nil {
		return b[:start] // an event that cannot be written down: its bucket is not saved
	}
	return b
}

// appendEvents appends the queue of a bucket and what it keeps for its condition.
func (t *Table) appendEvents(b []byte, r *row, p *population) ([]byte, error) {
	var records []arena.Ref // each once, those of the queue first
	var nodes []node
	size := 0
	for l := r.oldest; l != 0; l = t.nodes.At(int(l - 1)).next {
		size += t.savedSize(l)
	}
	for l := r.oldest; l != 0; l = t.nodes.At(int(l - 1)).next {
		if size -= t.savedSize(l); size > maxSavedQueue {
			continue
		}
		n := *t.nodes.At(int(l - 1))
		nodes, records = append(nodes, n), append(records, n.record)
	}
	var words []uint64
	if r.kept != 0 {
		k := t.keptOf(r, p.keeps)
		for i := range k.slots {
			s := k.slot(i)
			words = append(words, uint64(s.count()))
			for at := 1; at <= s.Tail+s.Head; at++ {
				record := s.record(at)
				i := slices.Index(records, record)
				if i < 0 && record != 0 {
					i = len(records)
					records = append(records, record)
				}
				words = append(words, uint64(i+1))
			}
		}
	}
	b = binary.AppendUvarint(b, uint64(len(records)))
	for _, record := range records {
		b = appendText(b, string(t.packedAt(record)))
		var text []byte
		if w, ok := t.wholes[record]; ok {
			var err error
			if text, err = json.Marshal(newSavedEvent(w.event)); err != nil {
				return b, err
			}
		}
		b = appendText(b, string(text))
	}
	b = binary.AppendUvarint(b, uint64(len(nodes)))
	for _, n := range nodes {
		switch n.scope {
		case 0:
			b = append(b, scopeNone)
		case scopeFailed:
			b = append(b, scopeError)
		default:
			b = appendText(append(b, scopeText), t.scopeText(n.scope))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(words)))
	for _, w := range words {
		b = binary.AppendUvarint(b, w)
	}
	return b, nil
}

// savedSize is about what an event of a queue takes in the file.
func (t *Table) savedSize(l link) int {
	n := t.nodes.At(int(l - 1))
	return len(t.packedAt(n.record)) + int(2*t.wholes[n.record].bytes) + maxVarint
}

// Saver writes the buckets of an engine's tables.
type Saver struct {
	w       io.Writer
	names   *Names
	written []int // values of each key that are in the file
	pieces  uint64
}

// NewSaver begins a file at time now. Buckets are saved with the scenarios that they are of.
func NewSaver(w io.Writer, h Hasher, names *Names, scenarios []*Scenario, now time.Time) (*Saver, error) {
	if _, err := io.WriteString(w, stateMagic); err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(now.UnixNano()))
	b = h.append(b)
	b = binary.AppendUvarint(b, uint64(len(scenarios)))
	for _, s := range scenarios {
		b = binary.LittleEndian.AppendUint64(b, s.number)
		b = binary.LittleEndian.AppendUint64(b, s.shape())
		b = appendText(b, s.Name)
	}
	return &Saver{w: w, names: names}, writeFrame(w, frameHeader, b)
}

// Write writes a piece that Table.Piece made.
func (s *Saver) Write(piece []byte) error {
	if len(piece) == 0 {
		return nil
	}
	// Names only grow: those known now are more than those known when the piece was made.
	if b := s.newNames(nil); len(b) > 0 {
		if err := writeFrame(s.w, frameNames, b); err != nil {
			return err
		}
	}
	s.pieces++
	return writeFrame(s.w, frameBuckets, piece)
}

// Close ends the file: without its end it is damaged.
func (s *Saver) Close() error {
	return writeFrame(s.w, frameEnd, binary.AppendUvarint(nil, s.pieces))
}

// newNames appends the keys and values that are not in the file yet: the number of a key, its text
// when it is new, how many values are new, the values.
func (s *Saver) newNames(b []byte) []byte {
	for i, w := range s.names.keys.Load().list {
		values := w.values.Load().list
		isNew := i == len(s.written)
		if isNew {
			s.written = append(s.written, 0)
		}
		if !isNew && len(values) == s.written[i] {
			continue
		}
		b = binary.AppendUvarint(b, uint64(i))
		if isNew {
			b = appendText(b, w.text)
		}
		b = binary.AppendUvarint(b, uint64(len(values)-s.written[i]))
		for _, v := range values[s.written[i]:] {
			b = appendText(b, v)
		}
		s.written[i] = len(values)
	}
	return b
}

// shape identifies what a bucket of the scenario holds: another version of the program may keep other
// things for the same rule.
func (s *Scenario) shape() uint64 {
	text := fmt.Sprint(s.keep, s.whole, s.keeps != nil)
	if s.keeps != nil {
		for _, slot := range s.keeps.Slots {
			accepts := ""
			if slot.Accepts != nil {
				accepts = slot.Accepts.Source()
			}
			text += fmt.Sprintf(" %d %d %q", slot.Head, slot.Tail, accepts)
		}
	}
	lo, _ := sipHash([2]uint64{}, text)
	return lo
}
