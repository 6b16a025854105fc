package decision

import "sync/atomic"

// MaxID is the largest decision id that gabion gives out or believes: what JSON clients can still
// read as a number without loss. A larger one found in the kernel was not written by gabion.
const MaxID = 1<<53 - 1

// IDs gives out the ids of alerts and decisions, which are unique on this machine. The store knows
// the last ones recorded and the kernel may know later ones: Raise both before the first Next.
// The zero value starts at 1. It is safe for concurrent use.
type IDs struct {
	alert    atomic.Int64
	decision atomic.Uint64
}

// NextAlert returns a new alert id.
func (i *IDs) NextAlert() int64 { return i.alert.Add(1) }

// NextDecision returns a new decision id.
func (i *IDs) NextDecision() uint64 { return i.decision.Add(1) }

// Raise makes sure that the ids given and all below are not given out again. Ids above MaxID are
// ignored: garbage must not use up the numbers.
func (i *IDs) Raise(alert int64, decision uint64) {
	for alert <= MaxID {
		old := i.alert.Load()
		if alert <= old || i.alert.CompareAndSwap(old, alert) {
			break
		}
	}
	for decision <= MaxID {
		old := i.decision.Load()
		if decision <= old || i.decision.CompareAndSwap(old, decision) {
			break
		}
	}
}
