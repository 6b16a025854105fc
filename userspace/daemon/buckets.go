package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gabion/userspace/statefile"
)

const (
	// bucketsFile is the file of the state directory that keeps the buckets over a restart.
	bucketsFile = "buckets"

	// saveEvery bounds what a crash forgets. Writing a million buckets takes some seconds, in which
	// the engine goes on.
	saveEvery = time.Minute
)

func (d *Daemon) bucketsPath() string { return filepath.Join(d.startedWith.StateDir, bucketsFile) }

// restoreBuckets lets the engine go on where the daemon before stopped, or where it last saved. What
// cannot be read is left: detection begins anew.
func (d *Daemon) restoreBuckets() {
	f, err := os.Open(d.bucketsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		defer f.Close()
		err = d.readBuckets(f)
	}
	if err != nil {
		d.log.Warn("saved buckets not used, detection begins anew", "file", d.bucketsPath(), "err", err)
	}
}

func (d *Daemon) readBuckets(r io.Reader) error {
	found, err := d.engine.Restore(r, d.now())
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(found.Dropped)) {
		d.log.Info("buckets dropped: their scenario changed or is gone", "scenario", name, "count", found.Dropped[name])
	}
	d.log.Info("buckets restored", "count", found.Buckets, "blackholes", found.Mutes, "ended_meanwhile", found.Expired,
		"no_room", found.Refused, "saved", found.SavedAt)
	return nil
}

// saveBuckets saves the buckets for the next start.
func (d *Daemon) saveBuckets(ctx context.Context) {
	now := d.now()
	err := statefile.Replace(d.bucketsPath(), func(w io.Writer) error { return d.engine.Save(ctx, w, now) })
	if ctx.Err() != nil {
		return // the shutdown saves them
	}
	if err != nil {
		err = fmt.Errorf("save buckets: %w", err)
	} else {
		d.saved.Store(&now)
	}
	d.health.Report("saved buckets", err)
}
