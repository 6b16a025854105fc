package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mustModule returns an ELF file with nothing but the section that says what a module needs.
func mustModule(t *testing.T, modinfo string) []byte {
	t.Helper()
	const names = "\x00.modinfo\x00.shstrtab\x00"
	header := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_REL),
		Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	header.Shoff = uint64(64 + len(modinfo) + len(names))
	var b bytes.Buffer
	for _, v := range []any{
		header, []byte(modinfo + names), elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(modinfo))},
		elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + len(modinfo)), Size: uint64(len(names))},
	} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestModulesAreLoadedAfterWhatTheyNeed(t *testing.T) {
	dir := t.TempDir()
	for name, modinfo := range map[string]string{
		"8021q.ko":       "license=GPL\x00depends=garp,mrp\x00name=8021q\x00",
		"garp.ko":        "depends=stp,llc\x00",
		"mrp.ko":         "depends=\x00",
		"stp.ko":         "depends=llc\x00",
		"llc.ko":         "license=GPL\x00",
		"act-bpf.ko":     "depends=veth\x00",
		"broken_need.ko": "depends=nosuch\x00",
	} {
		mustWrite(t, filepath.Join(dir, name), string(mustModule(t, modinfo)))
	}
	mustWrite(t, filepath.Join(dir, "modules.builtin"), "kernel/drivers/net/veth.ko\nkernel/net/sched/sch-ingress.ko\n")
	m, err := openModules(dir)
	if err != nil {
		t.Fatal(err)
	}
	load, err := m.order(t.Context(), []string{"8021q", "llc", "sch_ingress", "act_bpf"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range load {
		got = append(got, l.name)
	}
	if diff := cmp.Diff([]string{"llc", "stp", "garp", "mrp", "8021q", "act_bpf"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if _, err := m.order(t.Context(), []string{"broken_need"}); err == nil || !strings.Contains(err.Error(), "no module nosuch, which broken_need needs") {
		t.Errorf("a need that is not there: error = %v", err)
	}
}

func TestACompressedModuleIsUnpackedFirst(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("SKIPPED: needs xz")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "veth.ko")
	plain := mustModule(t, "depends=\x00")
	mustWrite(t, file, string(plain))
	mustWrite(t, filepath.Join(dir, "modules.builtin"), "")
	if out, err := exec.Command("xz", file).CombinedOutput(); err != nil {
		t.Fatalf("xz: %v: %s", err, out)
	}
	m, err := openModules(dir)
	if err != nil {
		t.Fatal(err)
	}
	load, err := m.order(t.Context(), []string{"veth"})
	if err != nil || len(load) != 1 || !bytes.Equal(load[0].content, plain) {
		t.Errorf("order = %+v, %v; want veth, unpacked", load, err)
	}
}

func TestAModuleThatIsNoneIsRefused(t *testing.T) {
	if needs, err := needsOf([]byte("text")); err == nil {
		t.Errorf("needs = %v, want an error", needs)
	}
}
