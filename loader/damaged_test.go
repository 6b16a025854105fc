package loader

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"gabion/loader/table"
)

// An entry that somebody edited must not keep the daemon from starting, nor cost the other bans.
func TestADamagedHostTableMovesToANewOne(t *testing.T) {
	const n = 500
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			dir := pinDir(t)
			p := mustOpen(t, Options{Dir: dir})
			var hosts []netip.Addr
			for i := range n {
				hosts = append(hosts, scattered(family, i))
			}
			mustBan(t, p, hostBans(hosts)...)
			mustReason(t, p, hosts[7]) // one hit
			f := p.tables.family(host(hosts[0]))
			moved := f.damage(hosts[0])
			mustClose(t, p)

			var log strings.Builder
			p = mustOpen(t, Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if !strings.Contains(log.String(), "damaged") {
				t.Errorf("the log says nothing about it: %q", log.String())
			}
			f = p.tables.family(host(hosts[0]))
			if f.size() != n {
				t.Errorf("%d hosts, want %d", f.size(), n)
			}
			if got := mustHits(t, p, host(hosts[7]).String()); got != 1 {
				t.Errorf("%s has %d hits, want 1", hosts[7], got)
			}
			for _, a := range append(hosts[1:], moved) {
				if got := mustReason(t, p, a); got != "dropped" {
					t.Errorf("%s is %s, want dropped", a, got)
				}
			}
			if got := mustReason(t, p, hosts[0]); got != "passed" {
				t.Errorf("%s, which is there no more, is %s, want passed", hosts[0], got)
			}
			mustBeConsistent(t, p, f)
		})
	}
}

// damage writes another address over one in the host table, in a place where no reader looks for it.
func (f *family) damage(a netip.Addr) (written netip.Addr) {
	for i := 1; ; i++ {
		family := map[int]string{32: "v4", 128: "v6"}[f.bits]
		written = scattered(family, 1<<20+i)
		line := func(a netip.Addr) int { return table.Share(f.kind.hash(a, f.key), f.hosts.lines) }
		if lines := f.hosts.lines; (line(a)-line(written)+lines)%lines < 32 || (line(written)-line(a)+lines)%lines < 32 {
			continue
		}
		break
	}
	for i, w := range f.hosts.words {
		switch {
		case f.bits == 32 && uint32(w>>32) == table.Key4Of(a) && w != 0:
			f.hosts.words[i] = uint64(table.Key4Of(written))<<32 | w&0xffffffff
			return written
		case f.bits == 128 && w == table.Key6Of(a).Hi && f.hosts.words[i+1] == table.Key6Of(a).Lo:
			f.hosts.words[i], f.hosts.words[i+1] = table.Key6Of(written).Hi, table.Key6Of(written).Lo
			return written
		}
	}
	panic("the host is not in the table")
}
