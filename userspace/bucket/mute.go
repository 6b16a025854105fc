package bucket

// A blackhole is a row as well, so that a million of them cost the garbage collector as little as
// buckets do. Its ID is that of the bucket with another second half.
func muteID(id ID) ID { return ID{id.key, mix(id.both)} }

// muted reports whether the overflow of a bucket falls into a blackhole, the end of which is exclusive,
// and counts it then.
func (t *Table) muted(s *Scenario, b tally, m *Match) bool {
	if s.blackhole <= 0 {
		return false
	}
	n, ok := t.index.find(t, muteID(b.id))
	if !ok || t.populations[t.row(n).of].replay != b.replay || t.row(n).last <= b.end {
		return false
	}
	t.stats.muted.Add(1)
	t.tell(s, m, Muted, b)
	return true
}

// mute silences a scenario for a key until the given time. When there are as many blackholes as there
// may be buckets, the one that ends first goes: the worst that follows is one alert more.
func (t *Table) mute(id ID, until int64, replay bool) {
	id = muteID(id)
	if n, ok := t.index.find(t, id); ok {
		t.drop(n)
	}
	if p := t.mutesOf(replay); p.buckets.len() >= t.config.MaxBuckets {
		n, _, _ := p.buckets.first(t, p)
		t.drop(n)
	}
	t.enterMute(id, until, replay)
}

func (t *Table) enterMute(id ID, until int64, replay bool) {
	p := t.mutesOf(replay)
	n := t.newRow()
	*t.row(n) = row{id: id, first: until, last: until, of: p.place}
	t.enter(n, p)
}
