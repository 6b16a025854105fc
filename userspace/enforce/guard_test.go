package enforce

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gabion/userspace/enforce/machine"
)

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func addrs(text ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range text {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestGuardProtectsWhatTheMachineNeeds(t *testing.T) {
	sys := nothing(t)
	dir := t.TempDir()
	sys.ResolvConf = []string{filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "upstream.conf"), filepath.Join(dir, "missing.conf")}
	mustWrite(t, sys.ResolvConf[0], "# nameserver 192.0.2.99\nsearch example.com\nnameserver 127.0.0.53\nnameserver\nnameserver nonsense\n")
	mustWrite(t, sys.ResolvConf[1], "nameserver 192.0.2.53\nnameserver fe80::53%eth0\r\n")
	sys.Addresses = func() ([]netip.Addr, error) { return addrs("203.0.113.5", "2001:db8::5"), nil }
	sys.Gateways = func() ([]netip.Addr, error) { return addrs("203.0.113.1", "fe80::1"), nil }
	g := NewGuard(GuardConfig{System: sys, Peers: prefixesOf("198.51.100.0/24"), Log: slog.New(slog.DiscardHandler)})
	if !g.Refresh(t0()) || g.Refresh(t0().Add(time.Hour)) {
		t.Error("refresh does not tell a change from none")
	}
	for p, want := range map[string]string{
		"127.0.0.53/32": "loopback", "::1/128": "loopback", "198.51.100.9/32": "a configured peer",
		"192.0.2.53/32": "a resolver", "fe80::53/128": "a resolver", "203.0.113.1/32": "a default gateway",
		"fe80::1/128": "a default gateway", "203.0.113.5/32": "an address of this machine",
		"2001:db8::5/128": "an address of this machine", "203.0.113.0/24": "", "192.0.2.99/32": "",
	} {
		if got, ok := g.Protects(netip.MustParsePrefix(p)); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v; want %q", p, got, ok, want)
		}
	}
}

func TestGuardKeepsWhatItKnewWhenReadingFails(t *testing.T) {
	var log strings.Builder
	sys := nothing(t)
	own, fail := addrs("203.0.113.5"), error(nil)
	sys.Addresses = func() ([]netip.Addr, error) { return own, fail }
	g := NewGuard(GuardConfig{System: sys, Log: slog.New(slog.NewTextHandler(&log, nil))})
	now := t0()
	look := func() { now = now.Add(machineAge); g.Refresh(now) }
	look()
	own, fail = addrs("203.0.113.6"), errors.New("dump interrupted")
	look()
	look()
	for _, p := range prefixesOf("203.0.113.5/32", "203.0.113.6/32") {
		if _, ok := g.Protects(p); !ok {
			t.Errorf("%s is not protected any more", p)
		}
	}
	if n := strings.Count(log.String(), "guard cannot see everything"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, log.String())
	}
	fail = nil
	look()
	if _, ok := g.Protects(netip.MustParsePrefix("203.0.113.5/32")); ok {
		t.Error("an address that is gone is still protected")
	}
	if !strings.Contains(log.String(), "sees everything again") {
		t.Errorf("the recovery is not logged:\n%s", log.String())
	}
}

func TestGuardIsBounded(t *testing.T) {
	sys := nothing(t)
	sys.Addresses = func() ([]netip.Addr, error) {
		var out []netip.Addr
		for i := range maxPerPart + 100 {
			out = append(out, netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}))
		}
		return out, nil
	}
	g := NewGuard(GuardConfig{System: sys, Log: slog.New(slog.DiscardHandler)})
	g.Refresh(t0())
	if n := len(g.Prefixes()); n != maxPerPart+len(loopback()) {
		t.Errorf("%d prefixes", n)
	}
}

func TestGuardLooksForSessionsAgainSoon(t *testing.T) {
	sys := nothing(t)
	sys.Established = func(s []machine.Session) ([]machine.Session, error) { return s, nil }
	g := NewGuard(GuardConfig{System: sys, Log: slog.New(slog.DiscardHandler)})
	g.Refresh(t0())
	mustWrite(t, filepath.Join(sys.Proc, "100/environ"), "SSH_CONNECTION=192.0.2.1 4242 198.51.100.7 22\x00")
	if g.Refresh(t0().Add(sessionAge - 1)) {
		t.Error("it looks again at once")
	}
	if !g.Refresh(t0().Add(sessionAge)) {
		t.Error("it does not see the session")
	}
	if reason, _ := g.Protects(netip.MustParsePrefix("192.0.2.1/32")); reason != "the client of an SSH session" {
		t.Errorf("reason = %q", reason)
	}
	if err := os.RemoveAll(filepath.Join(sys.Proc, "100")); err != nil {
		t.Fatal(err)
	}
	if !g.Refresh(t0().Add(2*sessionAge)) || len(g.Prefixes()) != len(loopback()) {
		t.Error("the session has ended and its client is still protected")
	}
	if g.Refresh(t0().Add(-time.Hour)) {
		t.Error("a change out of nothing")
	}
}

func TestGuardLooksForSessionsAtOnceWhenItIsAsked(t *testing.T) {
	sys := nothing(t)
	sys.Established = func(s []machine.Session) ([]machine.Session, error) { return s, nil }
	addresses := 0
	sys.Addresses = func() ([]netip.Addr, error) { addresses++; return nil, nil }
	g := NewGuard(GuardConfig{System: sys, Log: slog.New(slog.DiscardHandler)})
	g.Refresh(t0())
	mustWrite(t, filepath.Join(sys.Proc, "100/environ"), "SSH_CONNECTION=192.0.2.1 4242 198.51.100.7 22\x00")
	if g.Refresh(t0()) || !g.Look(t0()) || g.Look(t0()) {
		t.Error("look does not tell a change from none")
	}
	if _, ok := g.Protects(netip.MustParsePrefix("192.0.2.1/32")); !ok || addresses != 1 {
		t.Errorf("protected = %v; addresses were read %d times, want once", ok, addresses)
	}
}
