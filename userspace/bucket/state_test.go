package bucket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gabion/userspace/event"
)

// savedRules are scenarios of which buckets hold all that a bucket can hold.
func savedRules(t testing.TB) []*Scenario {
	t.Helper()
	var out []*Scenario
	for i, yaml := range []string{
		leaky("groupby: evt.Meta.source_ip\ncapacity: 2\nblackhole: 30s"),
		leaky("groupby: evt.Meta.source_ip\ndistinct: evt.Meta.a\nscope: {type: user, expression: evt.Meta.a}"),
		leaky("groupby: evt.Meta.a\noverflow_filter: any(queue.Queue, .Meta.a != '')\ncapacity: 4\ncache_size: 2"),
		trigger("filter: evt.Meta.a == 'z'\ngroupby: evt.Meta.source_ip\nblackhole: 20s"),
		conditional("condition: \"let f = filter(queue.Queue, {.Meta.a == 'x'}); len(f) > 3 and f[0].Meta.source_ip == f[-2].Meta.source_ip\""),
		conditional("condition: len(queue.Queue) > 2 and queue.Queue[0].Parsed.n == queue.Queue[len(queue.Queue) - 1].Parsed.n"),
		bayesian("groupby: evt.Meta.source_ip\nbayesian_prior: 0.5\nbayesian_threshold: 0.7\nbayesian_conditions:\n" +
			"- {condition: evt.Meta.a == 'x', prob_given_evil: 0.6, prob_given_benign: 0.4, guillotine: true}\n" +
			"- {condition: leaky.Total_count > 3, prob_given_evil: 0.7, prob_given_benign: 0.3}\n"),
	} {
		out = append(out, mustCompile(t, strings.Replace(yaml, "name: ", fmt.Sprintf("name: %d", i), 1)))
	}
	return out
}

// failer is a test or a property of one.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// save returns the state file of some tables.
func save(t failer, h Hasher, names *Names, rules []*Scenario, now time.Time, tables ...*Table) []byte {
	t.Helper()
	var file bytes.Buffer
	s, err := NewSaver(&file, h, names, rules, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for next, more := 0, true; more; {
			var piece []byte
			piece, next, more = table.Piece(nil, next)
			if err := s.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// load reads a state file into new tables.
func load(file []byte, rules []*Scenario, now time.Time, tables int) (*Loader, []*Table, Loaded, error) {
	l, err := NewLoader(bytes.NewReader(file), rules, now)
	if err != nil {
		return nil, nil, Loaded{}, err
	}
	var out []*Table
	for range tables {
		out = append(out, NewTable(TableConfig{Hasher: l.Hasher(), Names: l.Names(), MaxBuckets: 1000}))
	}
	found, err := l.Load(out)
	return l, out, found, err
}

// action is a random event for the rules above.
func action(t *rapid.T, now time.Duration) *event.Event {
	word := rapid.SampledFrom([]string{"x", "y", "z", ""})
	e := at(now, fmt.Sprintf("192.0.2.%d", rapid.IntRange(1, 2).Draw(t, "source")), "a", word.Draw(t, "a"), "long", strings.Repeat("l", rapid.IntRange(0, 100).Draw(t, "long")))
	e.Parsed = event.MakeFields("n", word.Draw(t, "n"))
	e.Unmarshaled = map[string]any{"n": 1.5, "list": []any{"a", nil, true}}
	return e
}

func TestBucketsGoOnAfterTheyWereSavedAndLoaded(t *testing.T) {
	rules := savedRules(t)
	rapid.Check(t, func(t *rapid.T) {
		h, names := NewHasher(), NewNames()
		table := NewTable(TableConfig{Hasher: h, Names: names})
		defer table.Close()
		var now time.Duration
		step := func() *event.Event {
			now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "step")) * time.Millisecond
			return action(t, now)
		}
		pour := func(tables []*Table, h Hasher, e *event.Event) (out []string) {
			for i, s := range rules {
				m, err := s.Match(e, e.Time)
				if m == nil {
					continue
				}
				id := h.ID(s, m.Key)
				overflow, pourErr := tables[id.Shard(len(tables))].Pour(s, id, m)
				out = append(out, fmt.Sprintln(i, err, pourErr))
				if overflow != nil {
					for _, a := range overflow.Overflow.APIAlerts {
						out = append(out, fmt.Sprintf("%+v %+v", *a, *a.Source))
					}
				}
			}
			return out
		}
		for range rapid.IntRange(0, 40).Draw(t, "before") {
			pour([]*Table{table}, h, step())
		}
		file := save(t, h, names, rules, start.Add(now), table)
		loader, tables, found, err := load(file, rules, start.Add(now), rapid.IntRange(1, 3).Draw(t, "tables"))
		if err != nil {
			t.Fatal(err)
		}
		var live uint64
		for _, table := range tables {
			defer table.Close()
			live += table.Stats().Live
		}
		if uint64(found.Buckets) != live || live != table.Stats().Live || len(found.Dropped) > 0 || found.Refused+found.Expired > 0 {
			t.Fatalf("loaded %+v, %d live of %d", found, live, table.Stats().Live)
		}
		for range rapid.IntRange(1, 40).Draw(t, "after") {
			e := step()
			want, got := pour([]*Table{table}, h, e), pour(tables, loader.Hasher(), e)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("after loading (-want +got):\n%s", diff)
			}
		}
		for _, table := range tables {
			table.Keep(nil)
			for _, replay := range []bool{true, false} {
				for p := table.clock(replay).mutes; p != nil && p.buckets.len() > 0; {
					n, _, _ := p.buckets.first(table, p)
					table.drop(n)
				}
			}
			table.forgetLast()
			if got := table.Stats().Bytes; got != 0 {
				t.Fatalf("%d bytes are in use by no bucket", got)
			}
		}
	})
}

// sample returns a state file with some of everything, and its rules.
func sample(t testing.TB) ([]byte, []*Scenario) {
	rules := savedRules(t)
	h := newHarness(t, TableConfig{})
	names := h.table.config.Names
	for i := range 20 {
		e := at(time.Duration(i)*time.Second, fmt.Sprintf("192.0.2.%d", i%7), "a", []string{"x", "y", "z"}[i%3], "machine", "m")
		e.Parsed = event.MakeFields("n", fmt.Sprint(i))
		if i%2 == 0 {
			live(e)
		}
		for _, s := range rules {
			h.pour(s, e)
		}
	}
	return save(t, h.hasher, names, rules, start.Add(20*time.Second), h.table), rules
}

func TestADamagedFileIsKnownAsSuch(t *testing.T) {
	file, rules := sample(t)
	if _, _, found, err := load(file, rules, start, 1); err != nil || found.Buckets < 5 || found.Mutes < 2 {
		t.Fatalf("loaded %+v, error %v: the test proves nothing", found, err)
	}
	for n := 0; n < len(file); n += 1 + n/200 { // every byte of the beginning, and many of the rest
		if _, _, _, err := load(file[:n], rules, start, 1); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut off after %d bytes: error %v", n, err)
		}
		flipped := bytes.Clone(file)
		flipped[n] ^= 0x10
		if _, _, _, err := load(flipped, rules, start, 1); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d is wrong: error %v", n, err)
		}
	}
}

func TestBucketsOfARuleThatChangedAreDroppedByName(t *testing.T) {
	h := newHarness(t, TableConfig{})
	kept, changed, gone := mustCompile(t, leaky("")), mustCompile(t, strings.Replace(leaky(""), "name: l", "name: changed", 1)), mustCompile(t, strings.Replace(leaky(""), "name: l", "name: gone", 1))
	for _, s := range []*Scenario{kept, changed, gone} {
		h.pour(s, at(0, "192.0.2.1"))
	}
	file := save(t, h.hasher, h.table.config.Names, []*Scenario{kept, changed, gone}, start, h.table)
	now := []*Scenario{
		mustCompile(t, leaky("blackhole: 1h")), mustCompile(t, strings.Replace(leaky("capacity: 9"), "name: l", "name: changed", 1)),
	}
	_, _, found, err := load(file, now, start, 1)
	want := Loaded{SavedAt: start, Buckets: 1, Dropped: map[string]int{"changed": 1, "gone": 1}}
	if diff := cmp.Diff(want, found); err != nil || diff != "" {
		t.Errorf("error %v, loaded (-want +got):\n%s", err, diff)
	}
}

func TestTimePassesWhileBucketsAreSaved(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, leaky("groupby: evt.Meta.source_ip")) // lives for 40s, and loses one in 10s
	mutes := mustCompile(t, trigger("groupby: evt.Meta.source_ip\nblackhole: 15s"))
	for range 3 {
		h.pour(s, live(at(0, "192.0.2.1")))
	}
	h.pour(s, live(at(25*time.Second, "192.0.2.2")))
	h.pour(s, at(0, "192.0.2.3")) // of a log that is replayed: no clock but its own
	h.pour(mutes, live(at(0, "192.0.2.1")))
	rules := []*Scenario{s, mutes}
	file := save(t, h.hasher, h.table.config.Names, rules, start.Add(25*time.Second), h.table)
	for _, tt := range []struct {
		after time.Duration
		want  Loaded
		room  int // events that the bucket of .1 takes without an overflow
	}{
		{10 * time.Second, Loaded{Buckets: 3, Mutes: 1}, 1},
		{29 * time.Second, Loaded{Buckets: 3, Expired: 1}, 2},
		{41 * time.Second, Loaded{Buckets: 2, Expired: 2}, 3},
		{time.Hour, Loaded{Buckets: 1, Expired: 3}, 3},
	} {
		t.Run(tt.after.String(), func(t *testing.T) {
			tt.want.SavedAt, tt.want.Dropped = start.Add(25*time.Second), map[string]int{}
			l, tables, found, err := load(file, rules, start.Add(tt.after), 1)
			if diff := cmp.Diff(tt.want, found); err != nil || diff != "" {
				t.Fatalf("error %v, loaded (-want +got):\n%s", err, diff)
			}
			again := &harness{t: t, table: tables[0], hasher: l.Hasher()}
			room := 0
			for again.pour(s, live(at(tt.after, "192.0.2.1"))) == nil {
				room++
			}
			if room != tt.room {
				t.Errorf("the bucket took %d more events, want %d", room, tt.room)
			}
		})
	}
}

func TestNoMoreIsLoadedThanThereIsRoomFor(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, leaky("groupby: evt.Meta.source_ip"))
	for i := range 2000 {
		h.pour(s, at(0, fmt.Sprintf("2001:db8::%x", i)))
	}
	file := save(t, h.hasher, h.table.config.Names, []*Scenario{s}, start, h.table)
	_, tables, found, err := load(file, []*Scenario{s}, start, 1)
	if err != nil || found.Buckets != 1000 || found.Refused != 1000 || tables[0].Stats().Live != 1000 {
		t.Errorf("loaded %+v, error %v", found, err)
	}
}

func TestALongQueueIsSavedWithItsNewestEvents(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, leaky("capacity: 10000"))
	const events = 5000
	for i := range events {
		e := at(time.Duration(i), "192.0.2.1")
		e.Line.Raw = strings.Repeat("x", 1000)
		h.pour(s, e)
	}
	file := save(t, h.hasher, h.table.config.Names, []*Scenario{s}, start, h.table)
	l, tables, found, err := load(file, []*Scenario{s}, start, 1)
	if err != nil || found.Buckets != 1 {
		t.Fatalf("loaded %+v, error %v", found, err)
	}
	b := (&harness{t: t, table: tables[0], hasher: l.Hasher()}).buckets()[0]
	if b.total != events || b.retained < 1000 || b.retained >= events {
		t.Errorf("the bucket counts %d events and has %d of them", b.total, b.retained)
	}
}

// resum makes the checksums of a file right, as far as it is made of frames.
func resum(file []byte) []byte {
	out := bytes.Clone(file)
	rest, ok := bytes.CutPrefix(out, []byte(stateMagic))
	for ok && len(rest) >= frameHead {
		n := frameHead + uint64(binary.LittleEndian.Uint32(rest[1:]))
		if n+frameSum > uint64(len(rest)) {
			break
		}
		binary.LittleEndian.PutUint32(rest[n:], crc32.Checksum(rest[:n], crc32.MakeTable(crc32.Castagnoli)))
		rest = rest[n+frameSum:]
	}
	return out
}

// FuzzLoad loads files that somebody made, with checksums that are right. What can be loaded must be
// safe to use.
func FuzzLoad(f *testing.F) {
	file, rules := sample(f)
	f.Add(file)
	f.Add([]byte(stateMagic))
	f.Fuzz(func(t *testing.T, file []byte) {
		l, tables, _, err := load(resum(file), rules, start, 2)
		for _, table := range tables {
			defer table.Close()
		}
		if err != nil {
			return
		}
		for i := range 30 {
			e := at(time.Duration(i)*time.Second, fmt.Sprintf("192.0.2.%d", i%7), "a", []string{"x", "y", "z"}[i%3])
			for _, s := range rules {
				if m, _ := s.Match(e, e.Time); m != nil {
					id := l.Hasher().ID(s, m.Key)
					_, _ = tables[id.Shard(2)].Pour(s, id, m)
				}
			}
		}
		for _, table := range tables {
			table.Expire(start.Add(time.Hour))
			save(t, l.Hasher(), l.Names(), rules, start, table)
			table.Keep(nil)
		}
	})
}
