package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatTheSignedListSaysOfAPackageIsRead(t *testing.T) {
	const sum = "100ec8efc7e14271719aee6e50424ad2f92c5573723bb33134c391c4f4fe5b7b"
	text := "Package: linux-image-7.2-cloud-amd64\nVersion: 7.2-1\nDepends: dracut | initramfs-tools (>= 0.120),\n" +
		" linux-base-7.2-cloud-amd64 (= 7.2-1), linux-modules-7.2-cloud-amd64 (= 7.2-1)\n" +
		"Filename: pool/main/l/linux/linux-image-7.2_7.2-1_amd64.deb\nSHA256: " + sum + "\n\nPackage: another\n"
	got, err := parsePackage(text)
	if err != nil {
		t.Fatal(err)
	}
	want := pkg{
		name: "linux-image-7.2-cloud-amd64", version: "7.2-1", sha256: sum, file: "linux-image-7.2_7.2-1_amd64.deb",
		depends: []string{"dracut", "linux-base-7.2-cloud-amd64", "linux-modules-7.2-cloud-amd64"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(pkg{})); diff != "" {
		t.Errorf("package (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "Package: p\nVersion: 1\nFilename: p.deb\n", "Package: p\nVersion: 1\nFilename: p.deb\nSHA256: 12\n"} {
		if p, err := parsePackage(bad); err == nil {
			t.Errorf("%q was read as %+v, want an error", bad, p)
		}
	}
}

func TestAKernelInPartsIsFoundWhole(t *testing.T) {
	archive := map[string][]string{
		"linux-image-cloud-amd64":     {"linux-base-cloud-amd64", "linux-image-7.2-cloud-amd64"},
		"linux-image-7.2-cloud-amd64": {"dracut", "linux-base-7.2-cloud-amd64", "linux-modules-7.2-cloud-amd64"},
		"linux-modules-7.2-cloud-amd64": {
			"kmod", "linux-base-7.2-cloud-amd64",
		},
		"linux-base-7.2-cloud-amd64": nil,
		"linux-image-empty":          {"kmod"},
	}
	find := func(name string) (pkg, error) {
		depends, ok := archive[name]
		if !ok {
			return pkg{}, fmt.Errorf("find %s: %w", name, errNotOffered)
		}
		return pkg{name: name, depends: depends}, nil
	}
	packages, err := resolve("linux-image-cloud-amd64", find)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range packages {
		got = append(got, p.name)
	}
	want := []string{"linux-image-7.2-cloud-amd64", "linux-base-7.2-cloud-amd64", "linux-modules-7.2-cloud-amd64"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if _, err := resolve("linux-image-empty", find); err == nil {
		t.Error("a package that depends on no kernel: no error")
	}
	if _, err := resolve("linux-image-none", find); !errors.Is(err, errNotOffered) {
		t.Errorf("a package that is not there: error = %v, want errNotOffered", err)
	}
}

func TestOnlyTheKernelAndItsModulesAreUnpacked(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range []string{
		"./boot/vmlinuz-6.1", "./boot/config-6.1", "./lib/modules/6.1/kernel/drivers/net/veth.ko",
		"./lib/modules/6.1/kernel/net/../../../../../cls-bpf.ko.xz", "./lib/modules/6.1/modules.builtin", "./usr/share/doc/copyright",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(name))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "modules"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unpackTar(tar.NewReader(&archive), dir); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, pattern := range []string{"*", "modules/*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			rel, _ := filepath.Rel(dir, f)
			got = append(got, rel)
		}
	}
	want := []string{"modules", "vmlinuz", "modules/cls-bpf.ko.xz", "modules/modules.builtin", "modules/veth.ko"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestADownloadThatIsNotWhatTheListSaysIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.deb")
	mustWrite(t, file, "abc")
	if err := checksum(file, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); err != nil {
		t.Errorf("the right file: %v", err)
	}
	if err := checksum(file, "ca7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); err == nil {
		t.Error("another checksum: no error")
	}
}

func TestKernelsAreChosenByName(t *testing.T) {
	for _, tt := range []struct {
		names string
		want  int // 0: an error
	}{{"", len(allSeries)}, {" ", len(allSeries)}, {"6.1", 1}, {"newest 5.10", 2}, {"2.4", 0}} {
		got, err := chooseSeries(tt.names)
		if len(got) != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("%q chooses %v, %v; want %d", tt.names, got, err, tt.want)
		}
	}
}
