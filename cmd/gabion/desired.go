package main

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gabion/loader"
	"gabion/userspace/client"
	"gabion/userspace/decision"
)

// desiredSet is what ought to be enforced, as the daemon or the kernel tables say it.
type desiredSet struct {
	from   string
	bans   []desiredBan
	allows []client.Allow
	// listed returns the bans of imported lists that cover an address; nil without lists. A list is
	// asked for single addresses, for it may have a million.
	listed func(netip.Addr) []desiredBan
}

type desiredBan struct {
	prefix netip.Prefix
	shadow bool // counted, not dropped
	wire   client.Decision
}

func desiredFromDaemon(ctx context.Context, c *client.Client) (*desiredSet, error) {
	list, err := c.Decisions(ctx, url.Values{"type": {decision.TypeBan}, "simulated": {"true"}})
	if err != nil {
		return nil, err
	}
	allows, err := c.Allows(ctx)
	if err != nil {
		return nil, err
	}
	d := &desiredSet{from: "daemon", allows: allows}
	for _, w := range list {
		p, err := decision.ParsePrefix(w.Value)
		if err != nil {
			continue // a scope that the kernel does not enforce
		}
		d.bans = append(d.bans, desiredBan{prefix: p, shadow: w.Simulated != nil && *w.Simulated, wire: w})
	}
	lists, err := c.Lists(ctx)
	if err == nil && len(lists) > 0 {
		d.listed = func(addr netip.Addr) []desiredBan { return listedAt(ctx, c, addr) }
	}
	return d, err
}

// listedAt asks the daemon which lists ban an address. One that does not answer is taken to have none:
// then the kernel's verdict differs, and that is said.
func listedAt(ctx context.Context, c *client.Client, addr netip.Addr) []desiredBan {
	why, err := c.Why(ctx, addr)
	if err != nil {
		return nil
	}
	var out []desiredBan
	for _, b := range why.Bans {
		if p, err := decision.ParsePrefix(b.Value); err == nil && b.Origin == decision.OriginLists {
			out = append(out, desiredBan{prefix: p, shadow: b.Simulated != nil && *b.Simulated, wire: b.Decision})
		}
	}
	return out
}

func desiredFromKernel(plane *loader.Plane, now time.Time) (*desiredSet, error) {
	modes, err := plane.ClassModes()
	if err != nil {
		return nil, err
	}
	d := &desiredSet{from: "kernel table"}
	for r, err := range plane.Bans() {
		if err != nil {
			return nil, err
		}
		if !r.Until.After(now) || modes[r.Class] == decision.ModeOff {
			continue
		}
		shadow := modes[r.Class] == decision.ModeShadow
		hits := r.Hits
		d.bans = append(d.bans, desiredBan{prefix: r.Prefix, shadow: shadow, wire: client.Decision{
			ID: r.DecisionID, Type: decision.TypeBan, Value: prefixText(r.Prefix), Simulated: &shadow, Hits: &hits,
			Until: r.Until.UTC().Format(time.RFC3339), Duration: left(r.Until, now),
		}})
	}
	for al, err := range plane.Allows() {
		if err != nil {
			return nil, err
		}
		d.allows = append(d.allows, client.Allow{
			Prefix: al.Prefix.String(), Reason: al.Reason.String(), Origin: "kernel table", Hits: al.Hits,
		})
	}
	return d, nil
}

// covering returns the bans and allow entries that cover an address, the most specific first.
func (d *desiredSet) covering(addr netip.Addr) (bans []desiredBan, allows []client.Allow) {
	for _, b := range d.bans {
		if b.prefix.Contains(addr) {
			bans = append(bans, b)
		}
	}
	if d.listed != nil {
		bans = append(bans, d.listed(addr)...)
	}
	slices.SortStableFunc(bans, func(a, b desiredBan) int { return b.prefix.Bits() - a.prefix.Bits() })
	for _, al := range d.allows {
		if p, err := decision.ParsePrefix(al.Prefix); err == nil && p.Contains(addr) {
			allows = append(allows, al)
		}
	}
	return bans, allows
}

// verdict says what ought to happen to a packet from addr, and why.
func (d *desiredSet) verdict(addr netip.Addr) (action, because string) {
	bans, allows := d.covering(addr)
	switch i := slices.IndexFunc(bans, func(b desiredBan) bool { return !b.shadow }); {
	case len(allows) > 0:
		return loader.ActionPass, "allowed: " + strings.Join([]string{allows[0].Prefix, allows[0].Reason, allows[0].Origin}, ", ")
	case i >= 0:
		return loader.ActionDrop, bans[i].name() + " on " + bans[i].wire.Value
	case len(bans) > 0:
		return loader.ActionPass, bans[0].name() + " is only simulated"
	}
	return loader.ActionPass, "not banned"
}

// name says which decision or list it is.
func (b desiredBan) name() string {
	if b.wire.ID == 0 && b.wire.Origin == decision.OriginLists {
		return "list " + b.wire.Scenario
	}
	return "decision " + strconv.FormatUint(b.wire.ID, 10)
}

// sample returns one address of each ban, evenly spread when there are more than limit.
func (d *desiredSet) sample(limit int) []netip.Addr {
	n := min(len(d.bans), limit)
	out := make([]netip.Addr, 0, n)
	for i := range n {
		out = append(out, d.bans[i*len(d.bans)/n].prefix.Addr())
	}
	return out
}

// why is the answer to "why is addr dropped" from this set alone.
func (d *desiredSet) why(addr netip.Addr) *client.Why {
	bans, allows := d.covering(addr)
	w := &client.Why{IP: addr.String(), Verdict: client.VerdictClean, Bans: []client.WhyBan{}, Allows: allows, Past: []client.WhyPast{}}
	for _, b := range bans {
		w.Bans = append(w.Bans, client.WhyBan{Decision: b.wire, InKernel: true, Lines: []string{}})
	}
	switch {
	case len(allows) > 0:
		w.Verdict = client.VerdictAllowed
	case slices.ContainsFunc(bans, func(b desiredBan) bool { return !b.shadow }):
		w.Verdict = client.VerdictBanned
	case len(bans) > 0:
		w.Verdict = client.VerdictShadow
	}
	if w.Allows == nil {
		w.Allows = []client.Allow{}
	}
	return w
}

// prefixText prints a host prefix as its address.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
