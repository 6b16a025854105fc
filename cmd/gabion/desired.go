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

// desiredSet is what ought to be enforced, as the daemon or the kernel tables say it. There may be
// millions of bans, so they are looked up for an address when one is asked for.
type desiredSet struct {
	from     string
	prefixes []netip.Prefix // of the bans in force; without those of imported lists when the daemon says it
	at       func(netip.Addr) []desiredBan
	allows   []client.Allow
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
	lists, err := c.Lists(ctx)
	if err != nil {
		return nil, err
	}
	d := &desiredSet{from: "daemon", allows: allows}
	var bans []desiredBan
	for _, w := range list {
		if b, ok := desiredOf(w); ok { // otherwise a scope that the kernel does not enforce
			bans = append(bans, b)
			d.prefixes = append(d.prefixes, b.prefix)
		}
	}
	d.at = func(addr netip.Addr) []desiredBan {
		var out []desiredBan
		for _, b := range bans {
			if b.prefix.Contains(addr) {
				out = append(out, b)
			}
		}
		if len(lists) > 0 {
			out = append(out, listedAt(ctx, c, addr)...)
		}
		return out
	}
	return d, nil
}

func desiredOf(w client.Decision) (desiredBan, bool) {
	p, err := decision.ParsePrefix(w.Value)
	return desiredBan{prefix: p, shadow: w.Simulated != nil && *w.Simulated, wire: w}, err == nil
}

// listedAt asks the daemon which lists ban an address. When it does not answer there are none: then the
// kernel's verdict differs, and that is said.
func listedAt(ctx context.Context, c *client.Client, addr netip.Addr) []desiredBan {
	why, err := c.Why(ctx, addr)
	if err != nil {
		return nil
	}
	var out []desiredBan
	for _, w := range why.Bans {
		if b, ok := desiredOf(w.Decision); ok && w.Origin == decision.OriginLists {
			out = append(out, b)
		}
	}
	return out
}

func desiredFromKernel(plane *loader.Plane, now time.Time) (*desiredSet, error) {
	modes, err := plane.ClassModes()
	if err != nil {
		return nil, err
	}
	inForce := func(r decision.Rule) bool {
		return (r.Until.IsZero() || r.Until.After(now)) && modes[r.Class%decision.Classes] != decision.ModeOff
	}
	d := &desiredSet{from: "kernel table"}
	for r, err := range plane.Bans() {
		if err != nil {
			return nil, err
		}
		if inForce(r) {
			d.prefixes = append(d.prefixes, r.Prefix)
		}
	}
	d.at = func(addr netip.Addr) []desiredBan {
		var out []desiredBan
		for bits := 0; bits <= addr.BitLen(); bits++ {
			p := netip.PrefixFrom(addr, bits).Masked()
			if r, ok, err := plane.BanHit(p); err == nil && ok && inForce(r) {
				out = append(out, banOf(r, modes[r.Class%decision.Classes] == decision.ModeShadow, now))
			}
		}
		return out
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

// banOf is a ban as far as the kernel's entry tells of it.
func banOf(r decision.Rule, shadow bool, now time.Time) desiredBan {
	hits := r.Hits
	w := client.Decision{ID: r.DecisionID, Type: decision.TypeBan, Value: prefixText(r.Prefix), Simulated: &shadow, Hits: &hits}
	if !r.Until.IsZero() {
		w.Until, w.Duration = r.Until.UTC().Format(time.RFC3339), left(r.Until, now)
	}
	if r.Class >= decision.ClassFirstList {
		w.Origin, w.Scenario = decision.OriginLists, className(r.Class)
	}
	return desiredBan{prefix: r.Prefix, shadow: shadow, wire: w}
}

// covering returns the bans and allow entries that cover an address, the most specific first.
func (d *desiredSet) covering(addr netip.Addr) (bans []desiredBan, allows []client.Allow) {
	bans = d.at(addr)
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
		return "list " + strings.TrimPrefix(b.wire.Scenario, "list ")
	}
	return "decision " + strconv.FormatUint(b.wire.ID, 10)
}

// sample returns one address of each ban, evenly spread when there are more than limit.
func (d *desiredSet) sample(limit int) []netip.Addr {
	n := min(len(d.prefixes), limit)
	out := make([]netip.Addr, 0, n)
	for i := range n {
		out = append(out, d.prefixes[i*len(d.prefixes)/n].Addr())
	}
	return out
}

// why is the answer to "why is addr dropped" from this set alone.
func (d *desiredSet) why(addr netip.Addr) *client.Why {
	bans, allows := d.covering(addr)
	w := &client.Why{IP: addr.String(), Verdict: client.VerdictClean, Bans: []client.WhyBan{}, Allows: allows, Past: []client.WhyPast{}, Meters: []client.WhyMeter{}}
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
