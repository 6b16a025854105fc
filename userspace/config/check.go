package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gabion/userspace/meter"
	"gabion/userspace/yamlpos"
)

// maxSocket is the longest path that the kernel takes for a Unix socket, its final NUL left out.
const maxSocket = 107

// check finds what is well-formed and yet cannot work. It names the option to change.
func (c *Config) check() error {
	var errs yamlpos.Errors
	fail := func(key, format string, args ...any) {
		errs = append(errs, c.Keys.Key(key).Errorf(format, args...))
	}
	if !filepath.IsAbs(c.StateDir) {
		fail("state_dir", "state_dir must be an absolute path, not %q", c.StateDir)
	}
	if err := CheckInterfaces(c.Interfaces); err != nil {
		fail("interfaces", "interfaces: %v", err)
	}
	if !c.Rules.Embedded && len(c.Rules.Dirs) == 0 {
		fail("rules", "rules: embedded is off and dirs is empty, so nothing would be detected")
	}
	if n := c.Engine.MaxBuckets; n < minBuckets || n > maxBuckets {
		fail("engine", "engine.max_buckets must be from %d to %d, not %d", minBuckets, maxBuckets, n)
	}
	c.checkSimulation(fail)
	c.checkAPI(fail)
	c.checkKernel(fail)
	if c.CTI.Key != "" && !strings.HasPrefix(c.CTI.URL, "https://") {
		fail("cti", "cti.url must begin with https://, or the key could be read on the way, not %q", c.CTI.URL)
	}
	if c.Retention.Std() < time.Hour {
		fail("retention", "retention: keep the record for an hour at least, not %s", c.Retention)
	}
	return errs.Err()
}

// Bounds of engine.max_buckets.
const (
	minBuckets = 1000
	maxBuckets = 16_000_000
)

func (c *Config) checkSimulation(fail func(key, format string, args ...any)) {
	switch s := c.Simulation; {
	case s.All && len(s.Scenarios) > 0:
		fail("simulation", "simulation.scenarios says nothing with all: list the scenarios that are to be enforced in except")
	case !s.All && len(s.Except) > 0:
		fail("simulation", "simulation.except says nothing without all: list the scenarios that are to be simulated in scenarios, or set all")
	}
}

// maxInterface is the longest name that the kernel gives to an interface.
const maxInterface = 15

// CheckInterfaces says which of the names cannot be meant; whether they exist may change every day.
func CheckInterfaces(names []string) error {
	var errs []string
	for i, name := range names {
		if name == "" || len(name) > maxInterface || strings.ContainsAny(name, "/ \t\n") {
			errs = append(errs, fmt.Sprintf("%q cannot be the name of an interface", name))
		}
		if slices.Contains(names[:i], name) {
			errs = append(errs, name+" is named twice")
		}
	}
	if len(errs) > 0 {
		return errors.New(strings.Join(errs, "; "))
	}
	return nil
}

func (c *Config) checkAPI(fail func(key, format string, args ...any)) {
	switch s := c.API.Socket; {
	case !filepath.IsAbs(s):
		fail("api", "api.socket must be an absolute path, not %q", s)
	case len(s) > maxSocket:
		fail("api", "api.socket is %d bytes long, and the kernel takes at most %d", len(s), maxSocket)
	}
	listen := c.API.Listen.Text
	if listen == "" {
		return
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		fail("api", "api.listen: %q is not an address and a port such as 127.0.0.1:8480", listen)
		return
	}
	if addr, err := netip.ParseAddr(host); err != nil || !addr.IsLoopback() {
		fail("api", "api.listen: %s is not a loopback address, and this API is not encrypted", host)
	}
}

func (c *Config) checkKernel(fail func(key, format string, args ...any)) {
	k := c.Kernel
	if !filepath.IsAbs(k.PinDir) {
		fail("kernel", "kernel.pin_dir must be an absolute path, not %q", k.PinDir)
	}
	if k.MaxBans == 0 || k.MaxAllows == 0 {
		fail("kernel", "kernel: max_bans and max_allows must be above 0; to turn the kernel side off set mode: off")
	}
	l := k.ConnectionLimit
	if l == nil {
		return
	}
	if w := l.Window.Std(); l.At.Has("window") && (w < meter.MinWindow || w > meter.MaxWindow) {
		fail("kernel", "kernel.connection_limit.window must be between %s and %s, not %s", meter.MinWindow, meter.MaxWindow, w)
	}
}
