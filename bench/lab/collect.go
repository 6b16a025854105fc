package lab

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

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
		r.LineToDropMS, r.EventsToDropMS = a.times()
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
func (a *attack) times() (lines, events *report.Distribution) {
	var took []time.Duration
	for script := range a.scripts {
		var causes [][]time.Time
		var bans []time.Time
		for _, s := range a.sources {
			if s.script == script && s.banned() && !s.disturbed {
				causes, bans = append(causes, s.causes()), append(bans, s.ban.At)
			}
		}
		for i, at := range triggers(causes, bans) {
			if !at.IsZero() {
				took = append(took, bans[i].Sub(at))
			}
		}
	}
	if a.flood {
		return nil, report.Summarise(took)
	}
	return report.Summarise(took), nil
}

// causes returns the moments of what the source's bucket counts: bad lines, or kernel events.
func (s *attacker) causes() []time.Time {
	if s.of.flood {
		return crossings(s.opened, floodLimit, floodWindow)
	}
	return s.lines
}
