package loader

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// mustForeignPin pins a map that is not gabion's.
func mustForeignPin(t *testing.T, path string) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "foreign", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Pin(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
}

func TestRemoveLeavesAloneWhatIsNoDataPlane(t *testing.T) {
	onDisk := t.TempDir()
	precious := filepath.Join(onDisk, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := pinDir(t)
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(foreign, "foreign")
	mustForeignPin(t, pin)
	for _, tt := range []struct{ dir, kept string }{{onDisk, precious}, {foreign, pin}} {
		err := Remove(tt.dir)
		if err == nil || !strings.Contains(err.Error(), "holds no data plane of gabion") {
			t.Errorf("remove %s: error = %v", tt.dir, err)
		}
		if _, err := os.Stat(tt.kept); err != nil {
			t.Errorf("%s is gone: %v", tt.kept, err)
		}
	}
}

func TestRemoveThatWasInterruptedCanBeRepeated(t *testing.T) {
	dir := pinDir(t)
	mustClose(t, mustOpen(t, small(dir)))
	for _, name := range []string{bpfMapBans4, bpfProgGabionXdp, linksDir} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Remove(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", dir, err)
	}
}

func TestOpenLeavesAlonePinsAndDirectoriesOfOthers(t *testing.T) {
	pin := pinDir(t)
	mustForeignPin(t, pin)
	if p, err := Open(small(pin)); err == nil {
		p.Close()
		t.Error("opened a pin as a directory")
	}
	if _, err := os.Stat(pin); err != nil {
		t.Errorf("the pin of another program is gone: %v", err)
	}

	dir := pinDir(t)
	mustClose(t, mustOpen(t, small(dir)))
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if p, err := Open(small(dir)); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		p.Close()
		t.Errorf("open what another user made: error = %v", err)
	}
}

func TestProgramsThatDifferOnlyInAConstantAreUpgraded(t *testing.T) {
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	spec, err := newSpec(small(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Variables["events_budget"].Set(uint64(7)); err != nil {
		t.Fatal(err)
	}
	progs, err := loadPrograms(spec, p.abi, replacements(&p.maps))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.replacePrograms(progs); err != nil {
		t.Fatal(err)
	}
	old := mustID(t, p.xdp)
	mustClose(t, p)
	if p := mustOpen(t, small(dir)); mustID(t, p.xdp) == old {
		t.Error("the program with the other constant is still in place")
	}
}

// A process may die between any two steps of an upgrade, and the next may be of either version.
func TestAnUpgradeThatEndedHalfwayIsFinishedOrTakenBack(t *testing.T) {
	for _, mode := range []Mode{ModeNative, ModeTCX, ModeClsact} {
		t.Run(string(mode), func(t *testing.T) {
			if mode == ModeTCX {
				needTCX(t)
			}
			n := mustNetwork(t)
			dir := pinDir(t)
			p := mustOpen(t, small(dir))
			p.legacyTC = mode == ModeClsact
			want := ModeNative
			if mode != ModeNative {
				want = ModeTC
			}
			mustAttach(t, n, p, want)
			in(t, n.server, func() {
				shipped := programs{XDP: p.xdp, TC: p.tc, Egress: p.egress}
				older := mustLoadOlder(t, p)
				p.xdp, p.tc, p.egress = older.XDP, older.TC, older.Egress
				if err := p.updateLinks(); err != nil {
					t.Fatal(err)
				}
				mustClose(t, p) // dies here, before the pins of the programs are replaced
				if err := errors.Join(shipped.XDP.Close(), shipped.TC.Close(), shipped.Egress.Close()); err != nil {
					t.Fatal(err)
				}
				p = mustOpen(t, small(dir))
				for _, pin := range mustPins(t, p) {
					running, err := runningProgram(pin)
					if err != nil {
						t.Fatal(err)
					}
					if want := mustID(t, p.program(pin.mode)); running != want {
						t.Errorf("the link runs program %d, pinned is %d", running, want)
					}
				}
			})
		})
	}
}

func TestAFilterThatWasNotAddedAnyMoreIsStale(t *testing.T) {
	n := mustNetwork(t)
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	p.legacyTC = true
	mustAttach(t, n, p, ModeTC)
	in(t, n.server, func() {
		pin := mustPins(t, p)[0]
		if err := removeFilter(pin.ifindex, ModeClsact); err != nil { // dies between the pin and the filter
			t.Fatal(err)
		}
		a, err := p.inspect(pin)
		if err != nil || !a.Stale {
			t.Errorf("attachment = %+v, %v; want a stale one", a, err)
		}
	})
	mustAttach(t, n, p, ModeTC)
	if got := mustAttachments(t, n, p); len(got) != 1 || got[0].Stale {
		t.Errorf("attachments = %+v, want one that works", got)
	}
}

func mustPins(t *testing.T, p *Plane) []linkPin {
	t.Helper()
	pins, err := p.linkPins()
	if err != nil || len(pins) == 0 {
		t.Fatalf("%d links, %v", len(pins), err)
	}
	return pins
}

func mustID(t *testing.T, prog *ebpf.Program) ebpf.ProgramID {
	t.Helper()
	info, err := prog.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}
