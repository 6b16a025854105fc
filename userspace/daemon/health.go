package daemon

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// health knows what does not work now. A part of the daemon reports its problem under its own name
// and takes it back; each change is logged once.
type health struct {
	log *slog.Logger

	mu       sync.Mutex
	problems map[string]string
}

func newHealth(log *slog.Logger) *health {
	return &health{log: log, problems: map[string]string{}}
}

// report sets the problem of a part; nil says that the part works.
func (h *health) report(part string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, had := h.problems[part]
	switch {
	case err == nil && had:
		delete(h.problems, part)
		h.log.Info("problem solved", "part", part, "was", was)
	case err != nil && was != err.Error():
		h.problems[part] = err.Error()
		h.log.Warn("problem", "part", part, "err", err)
	}
}

// list returns all problems, sorted by part.
func (h *health) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []string{}
	for _, part := range slices.Sorted(maps.Keys(h.problems)) {
		out = append(out, part+": "+h.problems[part])
	}
	return out
}
