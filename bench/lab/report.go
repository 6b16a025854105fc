package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gabion/bench/lab/topology"
)

// Report is what a run showed.
type Report struct {
	XDPMode string         `json:"xdp_mode"` // native, unless the kernel could not
	Attacks []AttackResult `json:"attacks"`
	Client  ClientResult   `json:"client"`
	*Chaos
	LostObservations uint32             `json:"lost_observations"` // packets that were not seen: then leaks may be missed
	Leftovers        topology.Leftovers `json:"leftovers"`
}

// AttackResult is how one attack over one family ended.
type AttackResult struct {
	Name           string        `json:"name"`
	Family         string        `json:"family"`
	Banned         bool          `json:"banned"` // every source
	Sources        int           `json:"sources"`
	BannedSources  int           `json:"banned_sources"`
	Scenarios      []string      `json:"scenarios"` // those that banned them
	LineToDropMS   *Distribution `json:"line_to_drop_ms,omitempty"`
	EventsToDropMS *Distribution `json:"events_to_drop_ms,omitempty"` // from the connection that passed the limit
	DroppedPackets uint64        `json:"dropped_packets"`
	LeakedAfterBan uint64        `json:"leaked_after_ban"`
	ArrivedBefore  uint64        `json:"arrived_before_ban"`
	Disturbed      int           `json:"disturbed,omitempty"` // sources left out of the times: no daemon ran meanwhile
	Errors         []string      `json:"errors,omitempty"`
}

// Slow is the time from line to drop that the 99th percentile stays below, in milliseconds.
const Slow = 50

// fill computes the results of all attacks.
func (l *lab) fill(ctx context.Context, rep *Report, all []*attack) error {
	decisions, err := l.scenarios(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		r := AttackResult{Name: a.name, Family: a.family, Sources: len(a.sources)}
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
		r.Scenarios = slices.Sorted(maps.Keys(scenarios))
		l.mu.Lock()
		r.LineToDropMS, r.EventsToDropMS = a.times()
		l.mu.Unlock()
		rep.Attacks = append(rep.Attacks, r)
	}
	rep.LostObservations, err = l.tap.Lost()
	return err
}

func (l *lab) addSource(r *AttackResult, s *attacker) error {
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
func (a *attack) times() (lines, events *Distribution) {
	var took []time.Duration
	if a.flood {
		for _, s := range a.sources {
			if !s.banned() {
				continue
			}
			if at, ok := lastBefore(crossings(s.opened, floodLimit, floodWindow), s.ban.At); ok {
				took = append(took, s.ban.At.Sub(at))
			}
		}
		return nil, summarise(took)
	}
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
	return summarise(took), nil
}

// Check returns what the report shows that should not be, nothing when all is well.
func (r *Report) Check() []error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.XDPMode != "native" {
		fail("xdp_mode is %q, not native", r.XDPMode)
	}
	for _, a := range r.Attacks {
		if err := a.check(); err != nil {
			fail("%s %s: %w", a.Name, a.Family, err)
		}
	}
	switch {
	case r.Client.Requests == 0:
		fail("client: no request was made")
	case r.Client.Failed > 0:
		fail("client: %d of %d requests failed: %v", r.Client.Failed, r.Client.Requests, r.Client.Failures)
	}
	if r.LostObservations > 0 {
		fail("the observer lost %d packets: leaked_after_ban cannot be trusted", r.LostObservations)
	}
	if r.Chaos != nil {
		errs = append(errs, r.check()...)
	}
	if r.Leftovers.Total() > 0 {
		fail("left behind: %+v", r.Leftovers)
	}
	return errs
}

func (a AttackResult) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !a.Banned {
		fail("%d of %d sources are banned", a.BannedSources, a.Sources)
	}
	if a.DroppedPackets == 0 {
		fail("no packet was dropped")
	}
	if a.LeakedAfterBan > 0 {
		fail("%d packets of banned sources reached the server", a.LeakedAfterBan)
	}
	if a.ArrivedBefore == 0 {
		fail("the observer saw no packet before the bans: leaked_after_ban cannot be trusted")
	}
	switch d := a.LineToDropMS; {
	case d == nil && a.EventsToDropMS == nil && a.Disturbed < a.Sources:
		fail("no time was measured")
	case d != nil && d.P99 >= Slow:
		fail("line_to_drop_ms.p99 is %.3f, not below %d", d.P99, Slow)
	}
	for _, e := range a.Errors {
		errs = append(errs, errors.New(e))
	}
	return errors.Join(errs...)
}
