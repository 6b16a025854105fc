package client

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gabion/userspace/decision"
)

const day = 24 * time.Hour

// ParseDuration reads a duration in Go's syntax, with days allowed as the first unit: 4h, 7d, 1d12h.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("invalid duration %q: write it like 4h, 90m, 7d or 1d12h", s)
	text, negative := strings.CutPrefix(s, "-")
	var days time.Duration
	if before, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(before, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day) {
			return 0, bad
		}
		days, text = time.Duration(n)*day, after
	}
	var rest time.Duration
	if text != "" || days == 0 && !strings.Contains(s, "d") {
		var err error
		if rest, err = time.ParseDuration(text); err != nil || rest < 0 || strings.HasPrefix(text, "+") {
			return 0, bad
		}
	}
	total := days + rest
	if total < 0 {
		return 0, bad
	}
	if negative {
		return -total, nil
	}
	return total, nil
}

// CanonicalScope returns the usual spelling of the scopes that are compared without regard to
// case; any other scope is returned as it is.
func CanonicalScope(s string) string {
	for _, known := range []string{decision.ScopeIP, decision.ScopeRange, decision.ScopeAS, decision.ScopeCountry} {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return s
}
