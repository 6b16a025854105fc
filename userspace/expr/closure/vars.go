package closure

import (
	"net/http"
	"reflect"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// Vars are the values of an expression's variables, and what a run needs besides. Those that the
// expression's place lacks are ignored. A Vars is used by one goroutine at a time and is best used
// again: it belongs to whoever runs expressions, who clears it to let go of the event.
type Vars struct {
	Event  *event.Event
	Alert  *decision.Alert
	Queue  *Queue
	Leaky  *Leaky
	Signal *event.RuntimeAlert
	Match  map[string]any // the rule of a WAF that matched
	Req    *http.Request  // the request that it matched; nil means an empty one

	at     int32 // place in the expression, in characters, of what may fail
	memory uint  // elements of lists and maps that the run made
	slots  []slot
	scopes []scope
	memos  []memo
	epoch  uint32 // of the event: memos of others do not count
}

// Renew gives v another event and no other variable, and keeps its memory. What a run remembers of
// an event counts for the next runs on it, so an event must not be replaced in another way but by
// a copy of it, and the text that it held must stay as it was.
func (v *Vars) Renew(e *event.Event) {
	*v = Vars{Event: e, slots: v.slots, scopes: v.scopes, memos: v.memos, epoch: v.epoch + 1}
}

// Queue is the variable queue: the events that a bucket retains, oldest first.
type Queue struct {
	Queue []*event.Event
	L     int // most events retained

	Kept Kept // what a helper of the condition reads, which does not see Queue
}

// Kept is what a bucket keeps of its queue for a condition: of the events that a predicate accepts,
// which is a slot, how many there are and those at the ends.
type Kept interface {
	Count(slot int) int
	Head(slot int) []*event.Event
	Tail(slot int) []*event.Event
	Times(slot, n int) []time.Time // of the last n events, or of all when there are fewer
}

// GetQueue returns the retained events.
func (q *Queue) GetQueue() []*event.Event { return q.Queue }

// Leaky is the variable leaky: the state of a bucket. The names are those that rules use.
type Leaky struct {
	Name        string
	Uuid        string
	Mapkey      string
	Mode        int // event.Live or event.Replay
	Total_count int // events poured
	First_ts    time.Time
	Last_ts     time.Time
	Ovflw_ts    time.Time
	Duration    time.Duration
	Queue       *Queue
}

// variable is a set of variables that must be set.
type variable uint8

const (
	varEvent variable = 1 << iota
	varAlert
	varQueue
	varLeaky
	varSignal
)

// set returns the variables that have a value.
func (v *Vars) set() (have variable) {
	if v.Event != nil {
		have |= varEvent
	}
	if v.Alert != nil {
		have |= varAlert
	}
	if v.Queue != nil {
		have |= varQueue
	}
	if v.Leaky != nil && v.Leaky.Queue == v.Queue {
		have |= varLeaky
	}
	if v.Signal != nil {
		have |= varSignal
	}
	return have
}

// MemoryBudget bounds the list and map elements that one run may make.
const MemoryBudget = 250_000

// grow counts elements that an operation makes.
func (v *Vars) grow(n int) {
	v.memory += uint(n)
	if v.memory >= MemoryBudget {
		panic("memory budget exceeded")
	}
}

// slot is a variable that let declares.
type slot struct {
	text string
	any  any
}

// scope is a list that a predicate runs over, and where it is in it.
type scope struct {
	index  int
	events []*event.Event
	texts  []string
	list   []any
	array  reflect.Value // another list
}

// begin starts over a list whose type is not known beforehand, and returns its length.
func (s *scope) begin(list any) int {
	s.index, s.texts, s.list, s.array = 0, nil, nil, reflect.Value{}
	switch l := list.(type) {
	case []string:
		s.texts = l
		return len(l)
	case []any:
		s.list = l
		return len(l)
	}
	s.array = reflect.ValueOf(list)
	return s.array.Len()
}

// item returns the element that the predicate looks at.
func (s *scope) item() any {
	switch {
	case s.texts != nil:
		return s.texts[s.index]
	case s.list != nil:
		return s.list[s.index]
	}
	return s.array.Index(s.index).Interface()
}
