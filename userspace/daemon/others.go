package daemon

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"gabion/userspace/decision"
)

// maxOthers bounds the decisions that are only handed on to clients.
const maxOthers = 100_000

// others are the decisions in force that the kernel cannot enforce: captchas, user names. They are
// kept for clients of the Local API.
type others struct {
	mu   sync.Mutex
	list []*decision.Decision
}

// add keeps a decision; when there are too many the oldest is forgotten here, not on record.
func (o *others) add(d *decision.Decision) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.list) >= maxOthers {
		o.list = slices.Delete(o.list, 0, 1)
	}
	o.list = append(o.list, d)
}

// active returns those in force at now and forgets the rest.
func (o *others) active(now time.Time) []*decision.Decision {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = slices.DeleteFunc(o.list, func(d *decision.Decision) bool { return !d.Until.After(now) })
	return slices.Clone(o.list)
}

// covering returns the ends of those whose range contains p.
func (o *others) covering(p netip.Prefix) []time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []time.Time
	for _, d := range o.list {
		if q, err := d.Prefix(); err == nil && q.Bits() <= p.Bits() && q.Contains(p.Addr()) {
			out = append(out, d.Until)
		}
	}
	return out
}

func (o *others) remove(ids []uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = slices.DeleteFunc(o.list, func(d *decision.Decision) bool { return slices.Contains(ids, d.ID) })
}

// forKernel reports whether the kernel can enforce a decision.
func forKernel(d *decision.Decision) bool {
	_, err := d.Prefix()
	return err == nil && d.Type == decision.TypeBan
}
