package daemon

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"gabion/userspace/cti"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/dns"
)

// asked is what rules may ask while they run: the decisions, and others than this machine. Its
// memories outlive a reload.
type asked struct {
	daemon *Daemon
	dns    *dns.Resolver
	cti    *cti.Service // nil: no key is configured
	http   *http.Client
}

func newAsked(d *Daemon) *asked {
	a := &asked{
		daemon: d, http: &http.Client{},
		dns: dns.New(dns.Config{LookupAddr: net.DefaultResolver.LookupAddr, LookupHost: net.DefaultResolver.LookupHost, Now: d.now}),
	}
	if c := d.startedWith.CTI; c.Key != "" {
		// A redirection could carry the key elsewhere, so none is followed.
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		a.cti = cti.New(cti.Config{URL: c.URL, Key: c.Key, Do: client.Do, Now: d.now})
	}
	return a
}

func (a *asked) deps() rulebook.Deps {
	deps := rulebook.Deps{
		History: a.daemon.history, InForce: a, DNS: a.dns, HTTP: a.http.Do, Now: a.daemon.now, Log: a.daemon.log,
	}
	if a.cti != nil {
		deps.CTI = a.cti
	}
	return deps
}

// InForce implements exprlib.InForce with what the kernel drops and what clients are told.
func (a *asked) InForce(p netip.Prefix) (count int, until time.Time) {
	now := a.daemon.now()
	add := func(end time.Time) {
		if !end.After(now) {
			return
		}
		count++
		if end.After(until) {
			until = end
		}
	}
	for _, d := range a.daemon.enforcer.Covering(p) {
		add(d.Until)
	}
	for _, end := range a.daemon.others.covering(p) {
		add(end)
	}
	return count, until
}
