package expr

import (
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// Env is what the place of an expression can see.
type Env int

// Environments and the variables they offer.
const (
	EnvEvent    Env = iota // evt
	EnvQueue               // evt, queue, leaky
	EnvOverflow            // evt, queue, signal, leaky
	EnvProfile             // Alert
)

// Vars are the values of an environment's variables. Those that the environment lacks are ignored.
type Vars struct {
	Event  *event.Event
	Alert  *decision.Alert
	Queue  *Queue
	Leaky  *Leaky
	Signal *event.RuntimeAlert
}

// Queue is the variable queue: the events that a bucket retains, oldest first.
type Queue struct {
	Queue []*event.Event
	L     int // most events retained
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

type eventEnv struct {
	Event *event.Event `expr:"evt"`
}

type queueEnv struct {
	Event *event.Event `expr:"evt"`
	Queue *Queue       `expr:"queue"`
	Leaky *Leaky       `expr:"leaky"`
}

type overflowEnv struct {
	Event  *event.Event        `expr:"evt"`
	Queue  *Queue              `expr:"queue"`
	Signal *event.RuntimeAlert `expr:"signal"`
	Leaky  *Leaky              `expr:"leaky"`
}

type profileEnv struct {
	Alert *decision.Alert
}

// example returns a value of the type that expressions of the environment are checked against.
func (e Env) example() any {
	switch e {
	case EnvQueue:
		return &queueEnv{}
	case EnvOverflow:
		return &overflowEnv{}
	case EnvProfile:
		return &profileEnv{}
	}
	return &eventEnv{}
}

// environments holds one value of each type, so that running an expression allocates none.
type environments struct {
	event    eventEnv
	queue    queueEnv
	overflow overflowEnv
	profile  profileEnv
}

// fill sets the variables and returns the value to run the expression with.
func (s *environments) fill(e Env, v Vars) any {
	switch e {
	case EnvQueue:
		s.queue = queueEnv{v.Event, v.Queue, v.Leaky}
		return &s.queue
	case EnvOverflow:
		s.overflow = overflowEnv{v.Event, v.Queue, v.Signal, v.Leaky}
		return &s.overflow
	case EnvProfile:
		s.profile = profileEnv{v.Alert}
		return &s.profile
	}
	s.event = eventEnv{v.Event}
	return &s.event
}
