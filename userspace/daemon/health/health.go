// Package health collects what does not work now, for status pages and logs.
package health

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// Board knows what does not work now. A part of the daemon reports its problem under its own name
// and takes it back; each change is logged once.
type Board struct {
	log *slog.Logger

	mu       sync.Mutex
	problems map[string]string
}

// New returns a board without problems.
func New(log *slog.Logger) *Board {
	return &Board{log: log, problems: map[string]string{}}
}

// Report sets the problem of a part; nil says that the part works.
func (b *Board) Report(part string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, had := b.problems[part]
	switch {
	case err == nil && had:
		delete(b.problems, part)
		b.log.Info("problem solved", "part", part, "was", was)
	case err != nil && was != err.Error():
		b.problems[part] = err.Error()
		b.log.Warn("problem", "part", part, "err", err)
	}
}

// List returns all problems, sorted by part.
func (b *Board) List() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []string{}
	for _, part := range slices.Sorted(maps.Keys(b.problems)) {
		out = append(out, part+": "+b.problems[part])
	}
	return out
}
