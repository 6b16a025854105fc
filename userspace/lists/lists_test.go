package lists

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gabion/userspace/decision"
)

const good = `# a list
192.0.2.1
198.51.100.0/24 ; with a reason
  2001:db8::1	# and another
::ffff:192.0.2.2
192.0.2.1

203.0.113.77/24
2001:db8:1::/48
;
`

func mustRead(t *testing.T, text string) *Entries {
	t.Helper()
	e, err := Read(strings.NewReader(text), "list.txt")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func textOf(e *Entries) []string {
	var out []string
	for _, p := range e.All() {
		out = append(out, p.String())
	}
	return out
}

func TestAListIsReadWithWidePrefixesFirst(t *testing.T) {
	want := []string{"198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/48", "192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128"}
	if diff := cmp.Diff(want, textOf(mustRead(t, good))); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestFaultsOfAListNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1\nnonsense\n":  `list.txt:2: "nonsense" is neither an address nor a prefix (192.0.2.1`,
		"192.0.2.1-192.0.2.9":    `list.txt:1: "192.0.2.1-192.0.2.9" is a range from one address to another: write it as prefixes`,
		"192.0.2.1, 192.0.2.2":   "is more than one word",
		"192.0.2.1 evil":         "is more than one word",
		"0.0.0.0/0":              "0.0.0.0/0 is every address",
		"::/0":                   "is every address",
		"fe80::1%eth0":           "zone",
		"192.0.2.1/33":           "neither an address nor a prefix",
		"\x1b[2J\xff":            `"\x1b[2J\xff"`,
		strings.Repeat("x", 300): "is neither an address nor a prefix",
		"192.0.2.1\n" + strings.Repeat("1", 5000): "list.txt:2: the line is longer than 4096 bytes",
		"# nothing\n":             "there is no address in it",
		strings.Repeat("x\n", 50): "list.txt: the rest was not read",
	} {
		e, err := Read(strings.NewReader(text), "list.txt")
		if err == nil || e != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, %v; want %q", text, e, err, want)
		}
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("%.40q: the error has %d bytes", text, len(err.Error()))
		}
	}
	_, err := Read(strings.NewReader("a\nb\n192.0.2.1\nc\n"), "list.txt")
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 3 {
		t.Errorf("faults = %v, want all three", err)
	}
}

func TestReadingThatFailsIsNoShortList(t *testing.T) {
	broken := errors.New("connection lost")
	if _, err := Read(&failing{strings.NewReader("192.0.2.1\n"), broken}, "-"); !errors.Is(err, broken) {
		t.Errorf("err = %v, want %v", err, broken)
	}
}

type failing struct {
	r   *strings.Reader
	err error
}

func (f *failing) Read(b []byte) (int, error) {
	if n, err := f.r.Read(b); err == nil {
		return n, nil
	}
	return 0, f.err
}

// prefixes draws prefixes of both families, some more than once.
func prefixes() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		b := [4]byte{byte(rapid.IntRange(1, 3).Draw(t, "a")), 0, 0, byte(rapid.IntRange(0, 255).Draw(t, "d"))}
		addr := netip.AddrFrom4(b)
		if rapid.Bool().Draw(t, "v6") {
			addr = netip.AddrFrom16([16]byte{0x20, 1, 14: b[0], 15: b[3]})
		}
		return netip.PrefixFrom(addr, rapid.IntRange(1, addr.BitLen()).Draw(t, "bits")).Masked()
	})
}

func TestEntriesAreASetWithNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(prefixes()).Draw(t, "in")
		e := New(slices.Values(in))
		want := slices.Clone(in)
		slices.SortFunc(want, netip.Prefix.Compare)
		want = slices.Compact(want)
		if e.Len() != len(want) {
			t.Fatalf("%d entries, want %d", e.Len(), len(want))
		}
		for _, p := range want {
			if i, ok := e.Index(p); !ok || e.At(i) != p {
				t.Fatalf("%v is not found where it is", p)
			}
		}
		other := prefixes().Draw(t, "other")
		if e.Has(other) != slices.Contains(want, other) {
			t.Fatalf("has %v = %t", other, e.Has(other))
		}
		var buf bytes.Buffer
		if err := e.write(&buf); err != nil {
			t.Fatal(err)
		}
		back, err := readSnapshot(&buf)
		if err != nil || !slices.Equal(textOf(back), textOf(e)) {
			t.Fatalf("read back %v, %v", textOf(back), err)
		}
	})
	var none *Entries
	if none.Len() != 0 || none.Has(netip.MustParsePrefix("192.0.2.1/32")) || New(slices.Values([]netip.Prefix{})).Has(netip.Prefix{}) {
		t.Error("the empty set has something")
	}
}

func TestADamagedSnapshotIsRefused(t *testing.T) {
	var buf bytes.Buffer
	if err := mustRead(t, good).write(&buf); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	for i := range whole {
		cut, flipped := whole[:i], slices.Clone(whole)
		flipped[i] ^= 0x10
		for name, data := range map[string][]byte{"cut": cut, "flipped": flipped} {
			if e, err := readSnapshot(bytes.NewReader(data)); !errors.Is(err, errDamaged) {
				t.Errorf("%s at %d: %v, %v", name, i, textOf(e), err)
			}
		}
	}
	huge := slices.Clone(whole)
	binary.LittleEndian.PutUint32(huge[8:], 1<<31)
	if _, err := readSnapshot(bytes.NewReader(huge)); !errors.Is(err, errDamaged) {
		t.Errorf("a count beyond the limit: %v", err)
	}
}

func mustOpen(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestListsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lists")
	d := mustOpen(t, path)
	class, ok := d.FreeClass()
	if !ok || class != decision.ClassFirstList {
		t.Fatalf("free class = %d, %t", class, ok)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	meta := Meta{Name: "bad.hosts", Class: class, Mode: "drop", Origin: "bad.txt", Imported: at, Until: at.Add(time.Hour)}
	must(t, d.Save(meta, mustRead(t, good)))
	must(t, d.Save(meta, mustRead(t, "192.0.2.7\n192.0.2.8\n")))
	must(t, d.SetMode("bad.hosts", decision.ModeShadow))
	must(t, d.Save(Meta{Name: "b", Class: 3, Mode: "off"}, mustRead(t, good)))
	must(t, os.WriteFile(filepath.Join(path, "bad.hosts.9.list.new"), nil, 0o600)) // an import that was killed

	d = mustOpen(t, path)
	meta.Version, meta.Entries, meta.Mode = 2, 2, "shadow"
	want := []Meta{meta, {Name: "b", Class: 3, Mode: "off", Version: 1, Entries: 6}}
	if diff := cmp.Diff(want, d.List()); diff != "" {
		t.Errorf("lists (-want +got):\n%s", diff)
	}
	e, err := d.Load("bad.hosts")
	if err != nil || !slices.Equal(textOf(e), []string{"192.0.2.7/32", "192.0.2.8/32"}) {
		t.Errorf("load = %v, %v", textOf(e), err)
	}
	must(t, d.Remove("b"))
	if class, _ := d.FreeClass(); class != 3 {
		t.Errorf("free class = %d, want 3", class)
	}
	files, err := filepath.Glob(filepath.Join(path, "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("files left: %v, %v; want the index and one snapshot", files, err)
	}
	for name, err := range map[string]error{"load": second(d.Load("b")), "remove": d.Remove("b"), "mode": d.SetMode("b", 0)} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s of a list that is gone: %v", name, err)
		}
	}
}

func second(_ *Entries, err error) error { return err }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestADamagedIndexIsNamed(t *testing.T) {
	for _, text := range []string{"{", `[{"name":"../x","class":2,"mode":"drop"}]`, `[{"name":"x","class":0,"mode":"drop"}]`,
		`[{"name":"x","class":2,"mode":"no"}]`, `[{"name":"x","class":2,"mode":"off"},{"name":"y","class":2,"mode":"off"}]`} {
		path := t.TempDir()
		must(t, os.WriteFile(filepath.Join(path, indexName), []byte(text), 0o600))
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "delete it and import the lists again") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNamesOfListsAreSafeInPathsAndLabels(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "fire-hol_1.net": true, "9": true, "": false, ".a": false, "-a": false, "A": false, "a/b": false,
		"a b": false, "ä": false, strings.Repeat("a", 63): true, strings.Repeat("a", 64): false, "a\n": false,
	} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}

// BenchmarkReadAMillion reports the time and the memory that an entry takes.
func BenchmarkReadAMillion(b *testing.B) {
	var text bytes.Buffer
	for i := range 1_000_000 {
		text.WriteString(address(0xc6120000 + uint32(i)*2654435761).String())
		text.WriteByte('\n')
	}
	b.ReportAllocs()
	for b.Loop() {
		e, err := Read(bytes.NewReader(text.Bytes()), "-")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(4*cap(e.hosts4))/float64(e.Len()), "B/entry")
	}
}

// FuzzRead reads whatever there is: it gives either a list that can be kept and read back, or errors of
// a bounded length that a terminal survives.
func FuzzRead(f *testing.F) {
	for _, text := range []string{good, "192.0.2.1-192.0.2.9\n", "0.0.0.0/0", "\x00\xff\n::ffff:1.2.3.4/100\n", "1.2.3.4/08\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := Read(bytes.NewReader(text), "list")
		if err != nil {
			if len(err.Error()) > maxFaults*400 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' && r != '\n' }) {
				t.Errorf("error %q", err)
			}
			return
		}
		var buf bytes.Buffer
		if err := e.write(&buf); err != nil {
			t.Fatal(err)
		}
		if back, err := readSnapshot(&buf); err != nil || !slices.Equal(textOf(back), textOf(e)) {
			t.Errorf("read back %v, %v", back, err)
		}
	})
}
