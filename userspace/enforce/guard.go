package enforce

import (
	"errors"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/enforce/machine"
)

// How old what the guard knows may get before Refresh looks again. Addresses and routes change
// seldom, and a router's tables are large.
const (
	machineAge = 30 * time.Second
	sessionAge = 2 * time.Second
)

// maxPerPart bounds what one part contributes: a machine with more addresses has other means.
const maxPerPart = 10_000

// Guard knows the addresses that must never be banned: this machine's own, its default gateways
// and resolvers, configured peers, and the clients of authenticated SSH sessions. Package machine
// finds them and says what proves a session.
//
// When a part cannot be read, what was last known of it stays protected.
type Guard struct {
	log *slog.Logger
	now atomic.Pointer[protection]

	mu    sync.Mutex // covers the parts; held while they are read
	parts []*part
}

// GuardConfig says what a Guard protects besides the machine's own. Log is required.
type GuardConfig struct {
	Peers  []netip.Prefix // API peers and whatever else the administrator names
	System machine.System
	Log    *slog.Logger
}

// part is one kind of protected addresses.
type part struct {
	reason  string
	age     time.Duration // 0: never changes
	read    func() ([]netip.Prefix, error)
	known   []netip.Prefix // sorted
	at      time.Time      // when it was read last
	trouble string         // the last error, which has been logged
}

// protection is what is protected at one moment: prefix -> reason. It never changes.
type protection struct {
	prefixes decision.PrefixMap[string]
}

func (p *protection) all() iter.Seq2[netip.Prefix, string] { return p.prefixes.All() }

// within yields the protected prefixes inside p.
func (p *protection) within(at netip.Prefix) iter.Seq2[netip.Prefix, string] {
	return p.prefixes.Within(at)
}

// NewGuard returns a Guard that protects loopback and the peers; Refresh finds the rest.
func NewGuard(c GuardConfig) *Guard {
	sys := c.System.WithDefaults()
	g := &Guard{log: c.Log}
	g.parts = []*part{
		{reason: "loopback", read: fixed(loopback())},
		{reason: "a configured peer", read: fixed(c.Peers)},
		{reason: "a resolver", age: machineAge, read: hosts(sys.Resolvers)},
		{reason: "a default gateway", age: machineAge, read: hosts(sys.Gateways)},
		{reason: "the client of an SSH session", age: sessionAge, read: hosts(sys.SessionClients)},
		{reason: "an address of this machine", age: machineAge, read: hosts(sys.Addresses)},
	}
	for _, p := range g.parts[:2] {
		p.known, _ = p.read()
	}
	g.publish()
	return g
}

// loopback returns the prefixes that are this machine by definition, and the unspecified addresses,
// which a host that has none yet sends from.
func loopback() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("0.0.0.0/32"), netip.MustParsePrefix("::/128"),
	}
}

func fixed(prefixes []netip.Prefix) func() ([]netip.Prefix, error) {
	return func() ([]netip.Prefix, error) { return prefixes, nil }
}

// hosts turns a list of addresses into host prefixes.
func hosts(read func() ([]netip.Addr, error)) func() ([]netip.Prefix, error) {
	return func() ([]netip.Prefix, error) {
		addrs, err := read()
		out := make([]netip.Prefix, 0, len(addrs))
		for _, a := range addrs {
			a = a.Unmap().WithZone("")
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
		return out, err
	}
}

// Refresh reads again what may have changed since the last look, and reports whether anything did.
// It is cheap when called too early.
func (g *Guard) Refresh(now time.Time) (changed bool) { return g.look(now, 0) }

// Look is Refresh, and reads the SSH sessions however lately it did: for who cannot wait until the next
// look shows who has logged in.
func (g *Guard) Look(now time.Time) (changed bool) { return g.look(now, sessionAge) }

// look reads what is too old, and in any case what may get no older than anew.
func (g *Guard) look(now time.Time, anew time.Duration) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.parts {
		// A clock that was set back must not stop the looking.
		since := now.Sub(p.at)
		if p.age == 0 || p.age > anew && !p.at.IsZero() && since >= 0 && since < p.age {
			continue
		}
		p.at = now
		changed = g.refresh(p) || changed
	}
	if changed {
		g.publish()
	}
	return changed
}

func (g *Guard) refresh(p *part) (changed bool) {
	found, err := p.read()
	if err != nil && !errors.Is(err, machine.ErrPartly) {
		found = append(found, p.known...)
	}
	slices.SortFunc(found, netip.Prefix.Compare)
	found = slices.Compact(found)
	if len(found) > maxPerPart {
		found = found[:maxPerPart]
		err = errors.Join(err, errTooMany)
	}
	g.report(p, err)
	if slices.Equal(found, p.known) {
		return false
	}
	p.known = found
	return true
}

// errTooMany says that maxPerPart cut the list.
var errTooMany = errors.New("more addresses than the guard can hold, the rest is not protected")

// report logs trouble with a part when it begins or changes, and when it ends.
func (g *Guard) report(p *part, err error) {
	var trouble string
	if err != nil {
		trouble = err.Error()
	}
	switch {
	case trouble == p.trouble:
	case trouble == "":
		g.log.Info("guard sees everything again", "part", p.reason)
	default:
		g.log.Warn("guard cannot see everything, what it knew stays protected", "part", p.reason, "err", err)
	}
	p.trouble = trouble
}

// publish makes what the parts know the protection in force. Of an address with several reasons
// the part that comes last names it.
func (g *Guard) publish() {
	next := &protection{}
	for _, p := range g.parts {
		for _, at := range p.known {
			next.prefixes.Put(at, p.reason)
		}
	}
	g.now.Store(next)
}

func (g *Guard) current() *protection { return g.now.Load() }

// Protects reports whether all of p is protected, and why.
func (g *Guard) Protects(p netip.Prefix) (reason string, ok bool) {
	for _, reason := range g.current().prefixes.Covering(p) {
		return reason, true
	}
	return "", false
}

// Prefixes returns what is protected, in order.
func (g *Guard) Prefixes() []netip.Prefix {
	now := g.current()
	out := make([]netip.Prefix, 0, now.prefixes.Len())
	for p := range now.all() {
		out = append(out, p)
	}
	return out
}
