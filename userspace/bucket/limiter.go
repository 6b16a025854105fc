package bucket

import "time"

// limiter is a token bucket in event time. It starts full.
type limiter struct {
	tokens float64
	last   int64 // event time of the last allowed event, Unix nanoseconds
}

func newLimiter(capacity int, t int64) limiter {
	return limiter{tokens: float64(capacity), last: t}
}

// allow takes one token at time t and reports whether there was one. A time before the last one
// gives no tokens back and moves the limiter's clock backwards, as the hub's engine does: logs that
// are merged out of order give the same alerts here and there.
func (l *limiter) allow(t int64, capacity int, leak time.Duration) bool {
	tokens := l.tokens
	if elapsed := t - l.last; elapsed > 0 {
		tokens = min(float64(capacity), tokens+float64(elapsed)/float64(leak))
	}
	tokens--
	// Times are whole nanoseconds: what leaks in half of one is rounding, not excess.
	if tokens < 0 && -tokens*float64(leak) >= 0.5 {
		return false
	}
	l.tokens, l.last = tokens, t
	return true
}
