// Package machine finds the addresses that this machine and its administrator cannot do without:
// its own, its gateways and resolvers, and the clients of authenticated SSH sessions.
//
// Whoever can make the machine believe in a session cannot be banned. So nothing counts here that a
// peer can bring about before it has authenticated: neither a connection nor what sshd calls itself
// while it waits for a password.
package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// System is where to look. WithDefaults makes the zero value mean the machine it runs on; tests set
// fields.
type System struct {
	Proc        string                             // default /proc
	ResolvConf  []string                           // default /etc/resolv.conf and systemd-resolved's
	Addresses   func() ([]netip.Addr, error)       // of all interfaces, of this network namespace
	Gateways    func() ([]netip.Addr, error)       // of all default routes
	Established func([]Session) ([]Session, error) // those whose TCP connection is established

	logins *logins
}

// ErrPartly marks an error that hides some of what is asked for, but not more than at every look
// before: what was read replaces what was known.
var ErrPartly = errors.New("not everything is visible")

// WithDefaults fills in what is not set. SessionClients remembers what it found from one call to
// the next, so all calls should be on the result of one WithDefaults.
func (s System) WithDefaults() System {
	if s.Proc == "" {
		s.Proc = "/proc"
	}
	if s.ResolvConf == nil {
		// The first may name only resolved's stub; the second has the servers behind it.
		s.ResolvConf = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}
	}
	if s.Addresses == nil {
		s.Addresses = ownAddresses
	}
	if s.Gateways == nil {
		s.Gateways = defaultGateways
	}
	if s.Established == nil {
		s.Established = (&socketTable{proc: s.Proc}).established
	}
	s.logins = &logins{proc: s.Proc, known: map[heldSocket]Session{}}
	return s
}

func ownAddresses() ([]netip.Addr, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	var out []netip.Addr
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			out = append(out, addr)
		}
	}
	if err != nil {
		return out, fmt.Errorf("list addresses: %w", err)
	}
	return out, nil
}

// defaultGateways returns the next hops of the default routes of the main table.
func defaultGateways() ([]netip.Addr, error) {
	var out []netip.Addr
	add := func(ip net.IP) {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			out = append(out, addr)
		}
	}
	via := func(d netlink.Destination) {
		if v, ok := d.(*netlink.Via); ok && v != nil {
			add(v.Addr)
		}
	}
	var errs []error
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		filter := &netlink.Route{Table: unix.RT_TABLE_MAIN}
		err := netlink.RouteListFilteredIter(family, filter, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
			if r.Dst != nil {
				if bits, _ := r.Dst.Mask.Size(); bits != 0 {
					return true
				}
			}
			add(r.Gw)
			via(r.Via)
			for _, hop := range r.MultiPath {
				add(hop.Gw)
				via(hop.Via)
			}
			return true
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("list routes: %w", err))
		}
	}
	return out, errors.Join(errs...)
}

// maxResolvConf is how much of a resolv.conf is read.
const maxResolvConf = 64 << 10

// Resolvers returns the name servers of all resolv.conf files. A file that is not there has none.
func (s System) Resolvers() ([]netip.Addr, error) {
	var out []netip.Addr
	var errs []error
	for _, path := range s.ResolvConf {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lines := bufio.NewScanner(io.LimitReader(f, maxResolvConf))
		for lines.Scan() {
			field := strings.Fields(lines.Text())
			if len(field) < 2 || field[0] != "nameserver" {
				continue
			}
			if addr, err := netip.ParseAddr(field[1]); err == nil {
				out = append(out, addr)
			}
		}
		if err := lines.Err(); err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", path, err))
		}
		f.Close()
	}
	return out, errors.Join(errs...)
}
