package exprlib

import (
	"fmt"
	"net/netip"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

// History knows past decisions.
type History interface {
	// Decisions counts the decisions about value, or about a range that contains it, that were taken
	// since a time.
	Decisions(value string, since time.Time) int
}

// InForce knows the decisions that hold now.
type InForce interface {
	// InForce counts the decisions in force whose range contains p, and says when the last of them
	// ends: the zero time when there is none.
	InForce(p netip.Prefix) (count int, until time.Time)
}

func (l *Lib) decisionFunctions() []expr.Function {
	return []expr.Function{
		sure1("GetDecisionsCount", func(value string) int { return l.decisions(value, time.Time{}) }),
		sure2("GetDecisionsSinceCount", l.decisionsSince),
		bind1("GetActiveDecisionsCount", func(value string) (int, error) {
			count, _, err := l.inForce(value)
			return count, err
		}),
		bind1("GetActiveDecisionsTimeLeft", func(value string) (time.Duration, error) {
			_, until, err := l.inForce(value)
			if err != nil || until.IsZero() {
				return 0, err
			}
			return max(until.Sub(l.deps.Now()), 0), nil
		}),
	}
}

func (l *Lib) decisions(value string, since time.Time) int {
	if l.deps.History == nil {
		return 0
	}
	return l.deps.History.Decisions(value, since)
}

func (l *Lib) decisionsSince(value, since string) int {
	d, err := yamlpos.ParseDuration(since)
	if err != nil {
		if l.warned.first("since " + since) {
			l.deps.Log.Warn("cannot count decisions", "helper", "GetDecisionsSinceCount", "err", err)
		}
		return 0
	}
	return l.decisions(value, l.deps.Now().Add(-d))
}

func (l *Lib) inForce(value string) (int, time.Time, error) {
	p, err := decision.ParsePrefix(value)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("count decisions in force: %.60q is neither an address nor a range", value)
	}
	if l.deps.InForce == nil {
		return 0, time.Time{}, nil
	}
	count, until := l.deps.InForce.InForce(p)
	return count, until, nil
}
