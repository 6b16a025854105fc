package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"gabion/userspace/daemon/inputs"
	"gabion/userspace/enforce"
)

// How often the daemon looks after itself.
const (
	reconcileEvery = time.Minute
	expireEvery    = 10 * time.Second
	logsEvery      = 5 * time.Second
	pruneEvery     = time.Hour
)

// driftCount sums up what reconciling found since the start.
type driftCount struct {
	mu                                     sync.Mutex
	runs, failures                         uint64
	missing, wrong, extra, allows, adopted uint64
	err                                    error
}

func (c *driftCount) add(d enforce.Drift, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs++
	c.missing += uint64(d.Missing)
	c.wrong += uint64(d.Wrong)
	c.extra += uint64(d.Extra)
	c.allows += uint64(d.Allows)
	c.adopted += uint64(len(d.Adopted))
	if c.err = err; err != nil {
		c.failures++
	}
}

// reconcile compares the kernel with what is decided and repairs it.
func (d *Daemon) reconcile() error {
	drift, err := d.enforcer.Reconcile(d.now())
	d.judge.adopt(drift.Adopted)
	d.drift.add(drift, err)
	d.health.Report("kernel tables", err)
	d.checkLists()
	if drift.Total() > 0 {
		d.log.Warn("kernel tables differed and are repaired", "missing", drift.Missing, "wrong", drift.Wrong,
			"extra", drift.Extra, "allows", drift.Allows, "adopted", len(drift.Adopted))
	}
	return err
}

// reopen tries to get a record that was not available at start.
func (d *Daemon) reopen(ctx context.Context) {
	if _, err := d.record.Get(); err == nil {
		return
	}
	if d.record.Open(ctx) == nil {
		_ = d.restore(ctx) // reported there, and so below
		_ = d.reconcile()
	}
}

// checkRecord reports a record that cannot be written at the moment, and writes what it owes.
func (d *Daemon) checkRecord(ctx context.Context) {
	if _, err := d.record.Get(); err != nil {
		return // reported by whoever tries to open it
	}
	retry, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	d.record.RetryEnds(retry)
	d.health.Report("record", d.record.Stats().Err)
}

// prune forgets what is older than the retention.
func (d *Daemon) prune(ctx context.Context) {
	st, err := d.record.Get()
	if err != nil {
		return
	}
	decisions, alerts, err := st.Prune(ctx, d.now().Add(-d.config.Load().Retention.Std()))
	if err != nil && !errors.Is(err, context.Canceled) {
		d.log.Warn("old records not deleted", "err", err)
	}
	if decisions+alerts > 0 {
		d.log.Info("old records deleted", "decisions", decisions, "alerts", alerts)
	}
}

// checkLogs reports log files that cannot be read. Their sources wait for them without failing.
func (d *Daemon) checkLogs(context.Context) {
	logs, err := inputs.Logs(d.startedWith)
	d.health.Report("logs", err)
	for _, l := range logs {
		d.health.Report("log "+l.Pattern, l.Err)
	}
}
