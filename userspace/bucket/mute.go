package bucket

// mute silences one scenario and key after an overflow: the blackhole.
type mute struct {
	id    ID
	until int64 // event time
	pos   int32
}

func (m *mute) due() int64    { return m.until }
func (m *mute) place() *int32 { return &m.pos }

// mutes are the blackholes of a table, for one kind of event time.
type mutes struct {
	byID map[ID]*mute
	due  deadlines[*mute]
}

// active reports whether id is muted at time t: until the end, which is exclusive.
func (ms *mutes) active(id ID, t int64) bool {
	m := ms.byID[id]
	return m != nil && m.until > t
}

// set mutes id until the given time. When there are limit mutes already, the one that ends first
// goes: the worst that follows is one alert more.
func (ms *mutes) set(id ID, until int64, limit int) {
	if m := ms.byID[id]; m != nil {
		ms.due.remove(m)
		m.until = until
		ms.due.push(m)
		return
	}
	if ms.due.len() >= limit {
		if m, _, ok := ms.due.first(); ok {
			ms.drop(m)
		}
	}
	if ms.byID == nil {
		ms.byID = map[ID]*mute{}
	}
	m := &mute{id: id, until: until}
	ms.byID[id] = m
	ms.due.push(m)
}

// expire forgets the mutes that ended before now.
func (ms *mutes) expire(now int64) {
	for {
		m, at, ok := ms.due.first()
		if !ok || at > now {
			return
		}
		ms.drop(m)
	}
}

func (ms *mutes) drop(m *mute) {
	ms.due.remove(m)
	delete(ms.byID, m.id)
}
