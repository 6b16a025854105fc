package main

import (
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gabion/tools/gotest/tally"
	"gabion/tools/kernels/plan"
)

const (
	passes = "\x16=== RUN   TestA\n\x16--- PASS: TestA (0.00s)\n\x16PASS\n"
	fails  = "\x16=== RUN   TestA\n    a_test.go:1: got 1, want 2\n\x16--- FAIL: TestA (0.00s)\n\x16FAIL\n"
	hangs  = "\x16=== RUN   TestA\nhalf a li"
)

// serial is what a guest with the nonce n writes.
type serial struct{ strings.Builder }

func (s *serial) mark(verb plan.Verb, words ...string) *serial {
	if err := plan.Mark(s, "n", verb, words...); err != nil {
		panic(err) // a strings.Builder takes everything
	}
	return s
}

func (s *serial) say(text string) *serial {
	s.WriteString(text)
	return s
}

func booted() *serial { return new(serial).mark(plan.Booted, "6.1.0-1-cloud-amd64") }

func TestOnlyASessionThatEndsWellPasses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		serial *serial
		why    error // the machine ended for
		counts string
		said   string
	}{
		{
			name:   "a test passes",
			serial: booted().mark(plan.Begin, "p").say(passes).mark(plan.End, "p", plan.Succeeded).mark(plan.Done),
			counts: "1 passed, 0 failed, 0 skipped",
		},
		{
			name:   "a test fails",
			serial: booted().mark(plan.Begin, "p").say(fails).mark(plan.End, "p", "exit status 1").mark(plan.Done),
			counts: "0 passed, 1 failed, 0 skipped", said: "got 1, want 2",
		},
		{name: "nothing is said", serial: new(serial), counts: "0 passed, 1 failed, 0 skipped", said: "did not come up"},
		{
			name:   "the end is missing",
			serial: booted().mark(plan.Begin, "p").say(passes).mark(plan.End, "p", plan.Succeeded),
			counts: "1 passed, 1 failed, 0 skipped", said: "without saying that it was done",
		},
		{
			name:   "another's end",
			serial: booted().mark(plan.Begin, "p").say(passes).say("\n@m done\n").mark(plan.End, "p", plan.Succeeded),
			counts: "1 passed, 1 failed, 0 skipped", said: "without saying that it was done",
		},
		{
			name:   "the kernel dies in a test",
			serial: booted().mark(plan.Begin, "p").say(hangs),
			counts: "0 passed, 2 failed, 0 skipped", said: "half a li",
		},
		{
			name: "turned off in a test", why: errors.New("turned off after 20m0s"),
			serial: booted().mark(plan.Begin, "p").say(hangs),
			counts: "0 passed, 2 failed, 0 skipped", said: "turned off after 20m0s",
		},
		{
			name: "qemu fails at the very end", why: errors.New("qemu: exit status 1"),
			serial: booted().mark(plan.Begin, "p").say(passes).mark(plan.End, "p", plan.Succeeded).mark(plan.Done),
			counts: "1 passed, 1 failed, 0 skipped", said: "qemu: exit status 1",
		},
		{
			name:   "a binary ends badly behind tests that pass",
			serial: booted().mark(plan.Begin, "p").say(passes).mark(plan.End, "p", "signal: killed").mark(plan.Done),
			counts: "1 passed, 1 failed, 0 skipped", said: "p: signal: killed",
		},
		{
			name:   "a binary without tests",
			serial: booted().mark(plan.Begin, "p").say("\x16PASS\n").mark(plan.End, "p", plan.Succeeded).mark(plan.Done),
			counts: "0 passed, 1 failed, 0 skipped", said: "ran no test",
		},
		{
			name:   "a module that cannot be loaded",
			serial: booted().mark(plan.Trouble, "load module veth.ko: exec format error"),
			counts: "0 passed, 2 failed, 0 skipped", said: "exec format error",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			c := tally.New(&out)
			s := newSession("n", c)
			if err := s.read(t.Context(), strings.NewReader(tt.serial.String())); err != nil {
				t.Fatal(err)
			}
			if err := s.finish(tt.why); err != nil {
				t.Fatal(err)
			}
			if got := c.Counts(); got != tt.counts || !strings.Contains(out.String(), tt.said) {
				t.Errorf("counts = %s, want %s and %q in\n%s", got, tt.counts, tt.said, &out)
			}
		})
	}
}

func TestAGuestThatBreaksTheProtocolIsAnError(t *testing.T) {
	for name, said := range map[string]*serial{
		"an unknown verb":          booted().mark("dance"),
		"two tests at once":        booted().mark(plan.Begin, "p").mark(plan.Begin, "q"),
		"an end without beginning": booted().mark(plan.End, "p", plan.Succeeded),
		"a file without content":   booted().mark(plan.File, "p", "rows.txt"),
		"a file of something else": booted().mark(plan.File, "p", "rows.txt", "%%"),
	} {
		s := newSession("n", tally.New(io.Discard))
		if err := s.read(t.Context(), strings.NewReader(said.String())); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := s.finish(nil); err != nil { // ends the reader
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARecordComesBackAndIsKept(t *testing.T) {
	const rows = "6.1 gabion_xdp 1 2 3\n"
	s := newSession("n", tally.New(io.Discard))
	said := booted().mark(plan.File, "gabion/loader", "testdata/verifier.txt", base64.StdEncoding.EncodeToString([]byte(rows)))
	if err := s.read(t.Context(), strings.NewReader(said.String())); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	file := filepath.Join(root, "loader/testdata/verifier.txt")
	mustWrite(t, file, "old")
	if err := (&suite{root: root}).keep(s.files); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != rows {
		t.Errorf("%s = %q, %v; want %q", file, got, err, rows)
	}
}

func TestKVMIsUsedOnlyWhereItRunsAnyKernel(t *testing.T) {
	dir := t.TempDir()
	kvm := filepath.Join(dir, "kvm")
	mustWrite(t, kvm, "")
	mustWrite(t, filepath.Join(dir, "modules/kvm_pvm/refcnt"), "")
	mustWrite(t, filepath.Join(dir, "intel/kvm_intel/refcnt"), "")
	for _, tt := range []struct{ kvm, modules, want string }{
		{kvm, "modules", "tcg,thread=single"},
		{kvm, "intel", "kvm"},
		{filepath.Join(dir, "none"), "intel", "tcg,thread=single"},
	} {
		if got := accelerator(tt.kvm, filepath.Join(dir, tt.modules)); !slices.Contains(got, tt.want) {
			t.Errorf("with %s and %s: %v, want %s", tt.kvm, tt.modules, got, tt.want)
		}
	}
}

func TestWhatAKernelComplainsOfIsFound(t *testing.T) {
	console := "[    1.0] all is well\n[    2.0] WARNING: CPU: 0 PID: 1 at net/core/dev.c:1\n[    3.0] BUG: unable to handle page fault\n"
	if got := complaints(console); len(got) != 2 || !strings.Contains(got[0], "dev.c:1") {
		t.Errorf("complaints = %q", got)
	}
	if got := ending(console); !strings.HasPrefix(got, "[    2.0] WARNING") || !strings.HasSuffix(got, "page fault\n") {
		t.Errorf("ending = %q, want it from the first complaint on", got)
	}
	if got := ending("[    1.0] all is well\n"); got != "[    1.0] all is well\n" {
		t.Errorf("ending without a complaint = %q", got)
	}
}
