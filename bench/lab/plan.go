package lab

import (
	"fmt"
	"net/netip"

	"gabion/bench/lab/topology"
)

// Interfaces of the server, one to each of the others.
const (
	attackerLink = "lab-attacker"
	clientLink   = "lab-client"
)

// Families, as they appear in reports.
const (
	ipv4 = "ipv4"
	ipv6 = "ipv6"
)

// floodSources are the made-up sources: the network for tests of devices, which no route on earth has.
var floodSources = netip.MustParsePrefix("198.18.0.0/15")

// firstAttacker is the last part of the first attacker's address: 198.51.100.7.
const firstAttacker = 7

// plan holds the lab's addresses. The server's services are on its loopback, so that reaching them
// takes a route, as on a real network.
type plan struct {
	sources int // per attack and family
}

func newPlan(sources int) plan { return plan{sources: min(max(sources, 1), MaxSources)} }

// server returns the services' address.
func (plan) server(family string) netip.Addr {
	if family == ipv4 {
		return netip.MustParseAddr("203.0.113.1")
	}
	return netip.MustParseAddr("2001:db8:5::1")
}

// client returns the address that browses.
func (plan) client(family string) netip.Addr {
	if family == ipv4 {
		return netip.MustParseAddr("192.0.2.10")
	}
	return netip.MustParseAddr("2001:db8:c::10")
}

// attacker returns the address of the n-th attacker of the family.
func (plan) attacker(family string, n int) netip.Addr {
	last := byte(firstAttacker + n)
	if family == ipv4 {
		return netip.AddrFrom4([4]byte{198, 51, 100, last})
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:a::%x", last))
}

// maxFlooders is how many sources flood at most: one after the other, each takes two windows.
const maxFlooders = 24

func (p plan) flooders() int { return min(p.sources, maxFlooders) }

// group returns the addresses of the attack with the given number; the last one is the flood.
func (p plan) group(family string, attack int) []netip.Addr {
	n := p.sources
	if attack == attacks-1 {
		n = p.flooders()
	}
	out := make([]netip.Addr, n)
	for i := range out {
		out[i] = p.attacker(family, attack*p.sources+i)
	}
	return out
}

// attackers returns how many attackers of a family there are.
func (p plan) attackers() int { return (attacks-1)*p.sources + p.flooders() }

// guest returns an attacker's address that no attack uses.
func (p plan) guest(family string) netip.Addr { return p.attacker(family, p.attackers()) }

func (p plan) topology() topology.Plan {
	attackers := topology.Spoke{
		Role:     "attacker",
		Gateways: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24"), netip.MustParsePrefix("2001:db8:a::1/64")},
		Behind:   []netip.Prefix{floodSources},
	}
	for n := range p.attackers() + 1 {
		attackers.Hosts = append(attackers.Hosts, p.attacker(ipv4, n), p.attacker(ipv6, n))
	}
	return topology.Plan{
		Services: []netip.Addr{p.server(ipv4), p.server(ipv6)},
		Spokes: []topology.Spoke{attackers, {
			Role:     "client",
			Gateways: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8:c::1/64")},
			Hosts:    []netip.Addr{p.client(ipv4), p.client(ipv6)},
		}},
	}
}
