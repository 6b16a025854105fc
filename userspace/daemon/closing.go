package daemon

import (
	"fmt"
	"net/netip"

	"gabion/userspace/config"
	"gabion/userspace/sockets"
)

// openCloser makes what closes the connections of sources that are banned from now on. Bans from before
// close none: what they cover has been dropped all the while.
func (d *Daemon) openCloser(cfg *config.Config) {
	if d.plane == nil {
		return // nothing is dropped, so nobody is cut off
	}
	d.closer = sockets.New(sockets.Config{Drops: d.enforcer.Drops, Look: d.enforcer.Look, Log: d.log, Now: d.now})
	d.switchClosing(cfg.Kernel.CloseConnections, sockets.Probe)
}

// switchClosing has bans close connections or not. Where the kernel cannot, as probe finds out, it says
// once what to do about that, and bans do without.
func (d *Daemon) switchClosing(on bool, probe func() error) {
	var err error
	if on {
		if err = probe(); err != nil {
			err = fmt.Errorf("bans leave them open, although kernel.close_connections is on: %w, and reload gabion; or turn it off", err)
		}
	}
	d.closing.Store(on && err == nil)
	d.health.Report("connections of banned sources", err)
}

// dropped takes note of what was banned: its connections are closed by the closer's own goroutine.
func (d *Daemon) dropped(prefixes []netip.Prefix) {
	if d.closing.Load() {
		d.closer.Add(prefixes)
	}
}

func (d *Daemon) collectClosing(emit emit) {
	if d.closer == nil {
		return
	}
	s := d.closer.Stats()
	emit("closed_total", "Connections of banned sources closed.", counter, float64(s.Closed))
	emit("spared_total", "Connections under a ban left open, for something allows them or the ban has ended.", counter, float64(s.Spared))
	emit("failures_total", "Connections of banned sources that the kernel did not close or list.", counter, float64(s.Failures))
	emit("unqueued_total", "Bans that closed no connections, for too many were waiting.", counter, float64(s.Unqueued))
	emit("rounds_total", "Times that the kernel listed its connections.", counter, float64(s.Rounds))
	emit("waiting", "Bans whose connections are about to be closed.", gauge, float64(s.Waiting))
}
