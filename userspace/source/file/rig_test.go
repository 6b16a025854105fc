package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gabion/userspace/source"
)

// tester is what testing and rapid have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Cleanup(func())
}

// rig drives a follower pass by pass, without goroutines, and collects what it delivers.
type rig struct {
	t       tester
	dir     string // of the logs
	state   string
	cfg     Config
	now     time.Time // moved by hand; files are stamped with it
	log     strings.Builder
	follow  *follower
	watch   *watcher
	got     []string // lines that are done with
	pending []source.Batch
	hold    bool // leave batches undone
	lives   int  // not 0: SIGKILL comes after so many more batches
}

var errKilled = errors.New("killed")

func newRig(t tester, patterns ...string) *rig {
	t.Helper()
	r := &rig{t: t, dir: mustTempDir(t), state: mustTempDir(t)}
	for _, p := range patterns {
		r.cfg.Patterns = append(r.cfg.Patterns, filepath.Join(r.dir, p))
	}
	r.cfg.Labels = map[string]string{"type": "syslog"}
	r.cfg.PollOnly = true
	r.now = time.Now().Truncate(time.Second)
	r.cfg.Now = func() time.Time { return r.now }
	r.cfg.Log = slog.New(slog.NewTextHandler(&r.log, nil))
	return r
}

// mustTempDir works for rapid, too, whose TempDir may be missing per run.
func mustTempDir(t tester) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gabion-file-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (r *rig) start() {
	r.t.Helper()
	r.cfg.Offsets = NewOffsets(r.state)
	s, err := New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.follow = newFollower(s, r.emit)
	r.watch = r.follow.newWatcher()
}

// begin starts on the files that exist: they are read from their end.
func (r *rig) begin() {
	r.t.Helper()
	r.start()
	r.poll()
}

func (r *rig) emit(b source.Batch) error {
	if r.lives == 1 {
		return errKilled
	}
	r.lives = max(0, r.lives-1)
	r.pending = append(r.pending, b)
	if !r.hold {
		r.ack(len(r.pending))
	}
	return nil
}

// ack is done with the first n pending batches.
func (r *rig) ack(n int) {
	for _, b := range r.pending[:n] {
		for _, e := range b.Events {
			r.got = append(r.got, e.Line.Raw)
		}
		b.Done()
	}
	r.pending = r.pending[n:]
}

func (r *rig) poll() {
	r.t.Helper()
	r.now = r.now.Add(time.Millisecond)
	err := r.follow.pass(context.Background(), r.watch, true)
	if errors.Is(err, errKilled) {
		r.kill()
		return
	}
	r.must(err)
}

// rest lets rotated files come to rest.
func (r *rig) rest() {
	r.poll()
	r.follow.cfg.Linger = 1
	r.poll()
	r.follow.cfg.Linger = DefaultLinger
}

// kill ends the follower as SIGKILL would: nothing is saved now, and what is not done with will be
// read again.
func (r *rig) kill() {
	for _, t := range r.follow.tails {
		_ = t.f.Close()
	}
	r.pending = nil
	r.follow = nil
	r.lives = 0
}

func (r *rig) restart() {
	r.kill()
	r.start()
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	r.must(err)
	r.stamp(name)
}

// stamp gives a file the time of the rig's clock, which moves on.
func (r *rig) stamp(name string) {
	r.t.Helper()
	r.now = r.now.Add(time.Millisecond)
	r.must(os.Chtimes(r.path(name), r.now, r.now))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) rename(from, to string) {
	r.t.Helper()
	r.must(os.Rename(r.path(from), r.path(to)))
}

// rotate moves app.log.1 to app.log.2 and so on, to make room for a new app.log.1.
func (r *rig) shift(name string) {
	for i := 99; i > 0; i-- {
		if _, err := os.Lstat(r.path(fmt.Sprintf("%s.%d", name, i))); err == nil {
			r.rename(fmt.Sprintf("%s.%d", name, i), fmt.Sprintf("%s.%d", name, i+1))
		}
	}
}

func (r *rig) rotateByRename(name string) {
	r.t.Helper()
	r.shift(name)
	r.rename(name, name+".1")
	r.write(name, "")
}

func (r *rig) rotateByCopy(name string) {
	r.t.Helper()
	r.shift(name)
	data, err := os.ReadFile(r.path(name))
	r.must(err)
	r.must(os.WriteFile(r.path(name+".1"), data, 0o600))
	r.stamp(name + ".1")
	r.must(os.Truncate(r.path(name), 0))
	r.stamp(name)
}

func (r *rig) link(target, name string) {
	r.t.Helper()
	r.must(os.Symlink(target, r.path(name+".link")))
	r.rename(name+".link", name)
}

func lines(prefix string, from, to int) (list []string, text string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf("%s line %d", prefix, i))
	}
	return list, strings.Join(list, "\n") + "\n"
}
