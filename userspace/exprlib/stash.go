package exprlib

import (
	"container/list"
	"fmt"
	"strings"
	"sync"
	"time"

	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

// Bounds of a stash.
const (
	DefaultStashSize = 100
	maxStashSize     = 1_000_000
	maxStashText     = 64 << 10 // bytes of a key or a value
)

// StashConfig describes a stash that a parser declares.
type StashConfig struct {
	Name string
	Size int           // most entries; 0 is DefaultStashSize
	TTL  time.Duration // how long an entry lives after it was set
}

// Stash is a named memory of parsers: what one line said, for the lines after it. The entry unused
// for longest goes when it is full.
type Stash struct {
	cfg StashConfig
	now func() time.Time

	mu      sync.Mutex
	entries map[string]*list.Element
	order   *list.List // of *stashEntry, last used first
}

type stashEntry struct {
	key, value string
	expires    time.Time
}

// Stash returns the stash of a name and makes it when there is none. Parsers that declare the same
// name share one; its size and lifetime are those of the first.
func (l *Lib) Stash(cfg StashConfig) (*Stash, error) {
	if cfg.Size == 0 {
		cfg.Size = DefaultStashSize
	}
	switch {
	case cfg.Name == "":
		return nil, fmt.Errorf("stash has no name")
	case cfg.Size < 0 || cfg.Size > maxStashSize:
		return nil, fmt.Errorf("stash %s: size %d is not between 1 and %d", cfg.Name, cfg.Size, maxStashSize)
	case cfg.TTL <= 0:
		return nil, fmt.Errorf("stash %s: ttl must be above 0", cfg.Name)
	}
	l.stashMu.Lock()
	defer l.stashMu.Unlock()
	s, ok := l.stashes[cfg.Name]
	if !ok {
		s = &Stash{cfg: cfg, now: l.deps.Now, entries: map[string]*list.Element{}, order: list.New()}
		l.stashes[cfg.Name] = s
	}
	return s, nil
}

// Set remembers a value. Keys and values that are very long are not kept.
func (s *Stash) Set(key, value string) { s.setFor(key, value, s.cfg.TTL) }

func (s *Stash) setFor(key, value string, ttl time.Duration) {
	if len(key) > maxStashText || len(value) > maxStashText {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	expires := s.now().Add(ttl)
	key, value = strings.Clone(key), strings.Clone(value) // they may be slices of a whole block of the log
	if e, ok := s.entries[key]; ok {
		*e.Value.(*stashEntry) = stashEntry{key, value, expires}
		s.order.MoveToFront(e)
		return
	}
	if s.order.Len() >= s.cfg.Size {
		s.remove(s.order.Back())
	}
	s.entries[key] = s.order.PushFront(&stashEntry{key, value, expires})
}

// Get returns what was remembered under key, or "" when nothing was or it has expired.
func (s *Stash) Get(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if !ok {
		return ""
	}
	entry := e.Value.(*stashEntry)
	if !s.now().Before(entry.expires) {
		s.remove(e)
		return ""
	}
	s.order.MoveToFront(e)
	return entry.value
}

func (s *Stash) remove(e *list.Element) {
	delete(s.entries, s.order.Remove(e).(*stashEntry).key)
}

func (l *Lib) stashFunctions() []expr.Function {
	return []expr.Function{
		sure2("GetFromStash", func(name, key string) string {
			if s := l.declared(name); s != nil {
				return s.Get(key)
			}
			return ""
		}),
		{Name: "SetInStash", Types: []any{new(func(string, string, string, any) any)}, Call: l.callSetInStash},
	}
}

// declared returns the stash of a name, or nil when no parser declares it.
func (l *Lib) declared(name string) *Stash {
	l.stashMu.RLock()
	s := l.stashes[name]
	l.stashMu.RUnlock()
	if s == nil && l.warned.first("stash "+name) {
		l.deps.Log.Warn("stash not declared", "stash", name)
	}
	return s
}

// callSetInStash remembers a value for a time: a duration, text such as '5m', or nil for the stash's
// own. It returns nil.
func (l *Lib) callSetInStash(args ...any) (any, error) {
	s, err := texts(args[:3], 0)
	if err != nil {
		return nil, err
	}
	stash := l.declared(s[0])
	var ttl time.Duration
	switch given := args[3].(type) {
	case nil:
		if stash != nil {
			ttl = stash.cfg.TTL
		}
	case time.Duration:
		ttl = given
	case string:
		if ttl, err = yamlpos.ParseDuration(given); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("argument 4 is %T, want a duration", given)
	}
	if stash != nil {
		stash.setFor(s[1], s[2], ttl)
	}
	return nil, nil
}
