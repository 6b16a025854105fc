// Command kernels runs the tests of the kernel data path in kernels that are not this machine's: those
// of Debian's releases, as its signed archive has them today, each in an emulated machine.
//
// Packages come through an apt state of its own below the cache directory, from the mirror that the
// machine's own sources name. A kernel starts from an initramfs with the test binaries and the program
// guest as init; package plan says how results come back.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gabion/tools/gotest/tally"
)

// options is the command line.
type options struct {
	kernels string // names of series, with spaces between; "" is all
	update  bool
	tests   string // as go test -run
	cache   string
	limit   time.Duration // for one machine
	verbose bool
}

func main() {
	var o options
	flag.StringVar(&o.kernels, "kernels", "", "series to boot, such as \"5.10 6.1 newest\" (default all)")
	flag.BoolVar(&o.update, "update", false, "put the tests' records of these kernels right")
	flag.StringVar(&o.tests, "run", "", "run only tests that match, as go test -run (default all)")
	flag.StringVar(&o.cache, "cache", "", "directory of downloaded kernels (default gabion/kernels in the user's cache directory)")
	flag.DurationVar(&o.limit, "limit", 30*time.Minute, "turn a machine off after this long")
	flag.BoolVar(&o.verbose, "v", false, "show all that tests say, while they say it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	failed, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
	}
	if err != nil || failed {
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) (failed bool, err error) {
	chosen, err := chooseSeries(o.kernels)
	if err != nil {
		return true, err
	}
	if o.cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return true, err
		}
		o.cache = filepath.Join(user, "gabion", "kernels")
	}
	m, err := readMirrors("/etc/apt")
	if err != nil {
		return true, err
	}
	tmp, err := os.MkdirTemp("", "gabion-kernels-")
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	tests, err := build(ctx, suite{root: ".", bin: tmp, run: o.tests, update: o.update})
	if err != nil {
		return true, err
	}
	var results []string
	for _, s := range chosen {
		began := time.Now()
		k, err := fetch(ctx, o.cache, m, s, filepath.Join(tmp, "linux-"+s.name), w)
		if err != nil {
			return true, err
		}
		fmt.Fprintf(w, "Linux %s (Debian %s)\n", s.name, k.version)
		t := tally.New(w)
		if err := tests.runIn(ctx, k, tmp, o, t, w); err != nil {
			return true, err
		}
		failed = failed || t.Failed() > 0
		results = append(results, fmt.Sprintf("Linux %-7s %-12s %s, in %s", s.name, k.version, t.Counts(), time.Since(began).Round(time.Second)))
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(results, "\n"))
	return failed, nil
}

func chooseSeries(names string) ([]series, error) {
	if strings.TrimSpace(names) == "" {
		return allSeries, nil
	}
	var out []series
	for _, name := range strings.Fields(names) {
		i := slices.IndexFunc(allSeries, func(s series) bool { return s.name == name })
		if i < 0 {
			var known []string
			for _, s := range allSeries {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("choose kernel %q: there are %s", name, strings.Join(known, ", "))
		}
		out = append(out, allSeries[i])
	}
	return out, nil
}

// runIn boots a kernel with the tests and counts what they say in t.
func (s *suite) runIn(ctx context.Context, k kernel, tmp string, o options, t *tally.Tally, w io.Writer) error {
	m := machine{
		cpus: k.cpus, kernel: k.image, initramfs: filepath.Join(tmp, "initramfs"), console: filepath.Join(tmp, "console"), limit: o.limit,
	}
	if err := os.Remove(m.console); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	p, err := s.pack(ctx, k, m.initramfs)
	if err != nil {
		return fmt.Errorf("make initramfs: %w", err)
	}
	guest := newSession(p.Nonce, t)
	guest.partial = s.run != ""
	if o.verbose {
		guest.echo = w
	}
	if err := m.run(ctx, guest); err != nil {
		return err
	}
	console, err := m.readConsole()
	if err != nil {
		return err
	}
	for _, line := range complaints(console) {
		fmt.Fprintf(w, "the kernel says: %s\n", line)
	}
	if !guest.done {
		fmt.Fprintf(w, "its console at the end:\n%s\n", ending(console))
	}
	where := guest.release
	if where == "" {
		where = k.version
	}
	t.Print("Linux " + where)
	if t.Failed() > 0 {
		return nil // its records prove nothing
	}
	return s.keep(guest.files)
}
