package links

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
)

// OfDefaultRoutes returns the interfaces that carry a default route, IPv4 or IPv6.
func OfDefaultRoutes() ([]string, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var names []string
	add := func(index int) {
		// An interface that went away between the two calls has no default route any more.
		if iface, err := net.InterfaceByIndex(index); err == nil && iface.Flags&net.FlagLoopback == 0 &&
			!slices.Contains(names, iface.Name) {
			names = append(names, iface.Name)
		}
	}
	for _, r := range routes {
		if r.Dst != nil && !isDefault(r.Dst) {
			continue
		}
		if r.LinkIndex > 0 {
			add(r.LinkIndex)
		}
		for _, hop := range r.MultiPath {
			add(hop.LinkIndex)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("there is no default route to say which interface to protect; those protected before stay so: name interfaces in the configuration (interfaces: [eth0])")
	}
	slices.Sort(names)
	return names, nil
}

func isDefault(dst *net.IPNet) bool {
	ones, _ := dst.Mask.Size()
	return ones == 0
}
