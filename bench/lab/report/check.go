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
