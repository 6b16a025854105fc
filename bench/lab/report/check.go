package report

import (
	"errors"
	"fmt"
)

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
	if r.SYNFlood == nil {
		fail("syn_flood: it did not take place")
	} else if err := r.SYNFlood.check(); err != nil {
		fail("syn_flood: %w", err)
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

func (a Attack) check() error {
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
	if n := a.PassedAboveLimit; n != nil && *n > 0 {
		fail("passed_above_limit is %d: the meter let through what it should have shed", *n)
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

// Bounds of what a flood may do to the client. A connection whose first packet is dropped takes a
// second longer, for so long the client's stack waits before it sends another; the rest is what the
// packets of the flood cost the CPUs that it shares with the client and the server.
const (
	lostMS    = 900
	slowerBy  = 5  // times the calm median
	slowerMin = 20 // ms, for a machine on which calm is nothing
)

func (f *SYNFlood) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if f.Sent < uint64(f.Sources) {
		fail("%d SYNs were sent, not one from each of %d sources", f.Sent, f.Sources)
	}
	if f.Shed == 0 {
		fail("nothing was shed")
	}
	if f.Passed == 0 {
		fail("the observer saw no SYN: passed_above_limit cannot be trusted")
	}
	if f.PassedAboveLimit > 0 {
		fail("passed_above_limit is %d of %d", f.PassedAboveLimit, f.Passed)
	}
	if f.Bans > 0 {
		fail("%d bans were made, and anybody's address may be forged", f.Bans)
	}
	calm, flood := f.Calm, f.Flood
	switch {
	case calm.LatencyMS == nil || flood.LatencyMS == nil:
		fail("the client got no page, %d requests before and %d meanwhile", calm.Requests, flood.Requests)
	case flood.Failed > 0:
		fail("client: %d of %d requests failed", flood.Failed, flood.Requests)
	case flood.LatencyMS.Max >= lostMS:
		fail("client: a page took %.0f ms, so the first packet of its connection was shed", flood.LatencyMS.Max)
	case flood.LatencyMS.P50 > max(slowerBy*calm.LatencyMS.P50, calm.LatencyMS.P50+slowerMin):
		fail("client: latency_ms.p50 is %.1f, and was %.1f before", flood.LatencyMS.P50, calm.LatencyMS.P50)
	}
	return errors.Join(errs...)
}

func (c *Chaos) check() []error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.DroppedWhileDead == 0 {
		fail("dropped_while_dead is 0: nothing was dropped while no daemon ran")
	}
	if c.BannedBefore == 0 || c.BannedAfter != c.BannedBefore {
		fail("banned_after is %d, banned_before %d", c.BannedAfter, c.BannedBefore)
	}
	if c.Restored+c.Adopted != c.BannedBefore {
		fail("restored %d and adopted %d are not the %d bans from before", c.Restored, c.Adopted, c.BannedBefore)
	}
	if !c.ExpiredWhileDead {
		fail("the short ban did not expire while no daemon ran")
	}
	if c.ShortBanHeld == 0 {
		fail("the short ban turned nobody away before its end")
	}
	for _, p := range c.Problems {
		errs = append(errs, errors.New(p))
	}
	return errs
}
