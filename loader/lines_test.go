package loader

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"gabion/loader/table"
)

// hostsOf returns hosts that are looked for in a line first.
func (f *family) hostsOf(line, n int) (hosts []netip.Addr) {
	family := map[int]string{32: "v4", 128: "v6"}[f.bits]
	for i := 0; len(hosts) < n; i++ {
		if a := scattered(family, i); table.Share(f.kind.hash(a, f.key), f.hosts.lines) == line {
			hosts = append(hosts, a)
		}
	}
	return hosts
}

// Hosts that find no room in the last line of a table are in the first, and those of the last line of a
// map in the first of the next one.
func TestHostsBeyondTheEndOfAMapAreFound(t *testing.T) {
	for _, family := range []string{"v4", "v6"} {
		for _, chunks := range []int{1, 3} {
			t.Run(family, func(t *testing.T) {
				p := mustOpen(t, Options{Dir: pinDir(t)})
				f := p.tables.family(host(scattered(family, 0)))
				each := int(f.row.spec.MaxEntries)
				for hosts := 100; f.hosts.count < chunks; hosts += each / 4 {
					if err := f.rebuild(hosts, nil, nil); err != nil {
						t.Fatal(err)
					}
				}
				if chunks > 1 && f.hosts.lines&(f.hosts.lines-1) == 0 {
					t.Fatalf("%d lines are a power of two", f.hosts.lines)
				}
				borders := []int{f.hosts.lines - 1}
				if chunks > 1 {
					borders = append(borders, each-1)
				}
				for _, line := range borders {
					all := f.hostsOf(line, 2*table.Slots4+4)
					banned, clean := all[:table.Slots4+2], all[table.Slots4+2:]
					for _, a := range banned {
						// Not by Ban, which would find the table much too large.
						if placed, _ := f.putHost(entry{prefix: host(a), Entry: table.Entry{Expiry: table.NoEnd}}); !placed {
							t.Fatalf("no room for %s near line %d of %d", a, line, f.hosts.lines)
						}
					}
					for _, a := range banned {
						if got := mustReason(t, p, a); got != "dropped" {
							t.Errorf("%s of line %d of %d is %s, want dropped", a, line, f.hosts.lines, got)
						}
					}
					for _, a := range clean {
						if got := mustReason(t, p, a); got != "passed" {
							t.Errorf("%s of line %d of %d is %s, want passed", a, line, f.hosts.lines, got)
						}
					}
				}
			})
		}
	}
}

// missCosts is the number of lines that are read for a host that is not there, on average.
func (f *family) missCosts() float64 {
	more := func(line int) bool {
		words := f.hosts.words[line*table.LineWords:][:table.LineWords]
		if f.bits == 32 {
			return words[7]>>32 != 0
		}
		return words[6] != 0
	}
	reach, sum := table.Probes4, 0
	for line := range f.hosts.lines {
		n := 1
		for ; n < reach && more((line+n-1)%f.hosts.lines); n++ {
		}
		sum += n
	}
	return float64(sum) / float64(f.hosts.lines)
}

// Bans come and go for months: lines that were full once must not send readers on for ever.
func TestATableInUseForLongCostsNoMoreThanANewOne(t *testing.T) {
	const hosts, turns, step = 3500, 60, 350
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p, err := Open(Options{Dir: pinDir(t)}) // the first table is of the usual size, a third full
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			f := p.tables.family(host(scattered(family, 0)))
			bans := func(from, n int) (out []netip.Addr) {
				for i := range n {
					out = append(out, scattered(family, from+i))
				}
				return out
			}
			prefixes := func(addrs []netip.Addr) (out []netip.Prefix) {
				for _, a := range addrs {
					out = append(out, host(a))
				}
				return out
			}
			mustBan(t, p, hostBans(bans(0, hosts))...)
			worst := 0.0
			for from := 0; from < hosts*turns; from += step {
				if err := p.Unban(prefixes(bans(from, step))); err != nil {
					t.Fatal(err)
				}
				mustBan(t, p, hostBans(bans(from+hosts, step))...)
				worst = max(worst, f.missCosts())
			}
			if f.size() != hosts {
				t.Errorf("%d bans, want %d", f.size(), hosts)
			}
			if worst > 2.5 {
				t.Errorf("%.1f lines are read for a host that is not there, want at most 2.5", worst)
			}
		})
	}
}

// held is what this process and the row of a family hold.
func held(t *testing.T, f *family) [3]int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	inPlace := 0
	for half := range uint8(2) {
		there, err := f.row.there(half, 0)
		if err != nil {
			t.Fatal(err)
		}
		inPlace += len(there)
	}
	return [3]int{len(fds), strings.Count(string(maps), "bpf"), inPlace}
}

func TestTablesThatComeAndGoLeaveNothing(t *testing.T) {
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			f := p.tables.family(host(scattered(family, 0)))
			mustBan(t, p, hostBans([]netip.Addr{scattered(family, 0)})...)
			upAndDown := func() {
				for _, more := range []int{100_000, 30_000, 0} {
					if err := f.rebuild(more, nil, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			upAndDown()
			before := held(t, f)
			for range 5 {
				upAndDown()
			}
			if after := held(t, f); after != before {
				t.Errorf("handles, mappings and maps in place: %v, and before %v", after, before)
			}
			if before[1] == 0 || before[2] != 1 {
				t.Errorf("%d mappings, and %d maps in place for a table of one", before[1], before[2])
			}
			// What cannot be given back is given back the next time.
			outer := f.row.outer
			closed, err := outer.Clone()
			if err != nil {
				t.Fatal(err)
			}
			closed.Close()
			if err := f.rebuild(100_000, nil, nil); err != nil {
				t.Fatal(err)
			}
			wait := f.wait
			f.wait = func() error {
				defer func() { f.row.outer = closed }() // only the wait works still
				return wait()
			}
			if err := f.rebuild(0, nil, nil); err == nil {
				t.Error("a table is given back without a map")
			}
			f.row.outer, f.wait = outer, wait
			upAndDown()
			if after := held(t, f); after != before {
				t.Errorf("after a failure: handles, mappings and maps in place: %v, and before %v", after, before)
			}
		})
	}
}

// A view that says nonsense is an error, not the end of the process.
func TestAViewOfNoLinesIsRefused(t *testing.T) {
	dir := pinDir(t)
	mustOpen(t, Options{Dir: dir})
	r, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m, err := ebpf.LoadPinnedMap(dir+"/control", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Put(uint32(0), &bpfControl{}); err != nil {
		t.Fatal(err)
	}
	_, _, err = r.BanHit(netip.MustParsePrefix("192.0.2.1/32"))
	if err == nil || !strings.Contains(err.Error(), "0 lines") || errors.Is(err, errMoved) {
		t.Errorf("err = %v, want that the table has 0 lines", err)
	}
}
