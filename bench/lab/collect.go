package lab

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gabion/bench/lab/observe"
	"gabion/bench/lab/report"
)

// fill computes the results of all attacks.
func (l *lab) fill(ctx context.Context, rep *report.Report, all []*attack) error {
	decisions, err := l.scenarios(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		r := report.Attack{Name: a.name, Family: a.family, Sources: len(a.sources)}
		scenarios := map[string]bool{}
		for _, s := range a.sources {
			if err := l.addSource(&r, s); err != nil {
				return err
			}
			if d, ok := decisions[s.addr]; ok {
				scenarios[d.Scenario] = true
			} else if s.banned() {
				r.Errors = append(r.Errors, fmt.Sprintf("%s is banned in the kernel but the daemon lists no decision", s.addr))
			}
		}
		r.Banned = r.BannedSources == r.Sources
		r.Scenarios = append([]string{}, slices.Sorted(maps.Keys(scenarios))...)
		l.mu.Lock()
		r.LineToDropMS, r.EventsToDropMS = a.times(l.tap)
		l.mu.Unlock()
		rep.Attacks = append(rep.Attacks, r)
	}
	rep.LostObservations, err = l.tap.Lost()
	return err
}

func (l *lab) addSource(r *report.Attack, s *attacker) error {
	rule, ok, err := l.table().BanHit(hostPrefix(s.addr))
	if err != nil {
		return err
	}
	if ok {
		r.BannedSources++
		r.DroppedPackets += rule.Hits
	}
	before, after := l.tap.Arrived(s.addr)
	r.ArrivedBefore += before
	r.LeakedAfterBan += after
	if s.err != nil {
		r.Errors = append(r.Errors, s.err.Error())
	}
	if s.disturbed {
		r.Disturbed++
	}
	if s.of.flood {
		above := aboveLimit(l.tap.SYNs(s.addr), floodLimit, floodWindow)
		if r.PassedAboveLimit != nil {
			above += *r.PassedAboveLimit
		}
		r.PassedAboveLimit = &above
	}
	return nil
}

// banned says whether the ban was seen. Its moment may be read then.
func (s *attacker) banned() bool {
	if s.ban == nil {
		return false
	}
	select {
	case <-s.ban.Banned:
		return true
	default:
		return false
	}
}

// times returns the attack's distribution: of lines, or for a flood of connections.
func (a *attack) times(tap *observe.Tap) (lines, events *report.Distribution) {
	if a.flood {
		return nil, report.Summarise(a.fromCrossings(tap))
	}
	var took []time.Duration
	for script := range a.scripts {
		var lines [][]time.Time
		var bans []time.Time
		for _, s := range a.sources {
			if s.script == script && s.banned() && !s.disturbed {
				lines, bans = append(lines, s.lines), append(bans, s.ban.At)
			}
		}
		for i, at := range triggers(lines, bans) {
			if !at.IsZero() {
				took = append(took, bans[i].Sub(at))
			}
		}
	}
	return report.Summarise(took), nil
}

// fromCrossings returns how long the bans of a flood's sources took from the connection that passed
// the limit for the last time before. Not every crossing leads to an event that counts: a window may
// end before the source is proven real.
func (a *attack) fromCrossings(tap *observe.Tap) []time.Duration {
	var took []time.Duration
	for _, s := range a.sources {
		if !s.banned() || s.disturbed {
			continue
		}
		if at, ok := lastBefore(crossings(s.opened, tap.SYNs(s.addr)), s.ban.At); ok {
			took = append(took, s.ban.At.Sub(at))
		}
	}
	return took
}
