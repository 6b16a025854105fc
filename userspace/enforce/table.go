package enforce

import (
	"iter"
	"net/netip"

	"gabion/userspace/decision"
)

// Table is the kernel's ban and allow tables; the loader's Plane is one. Writing an entry replaces
// the one for the same prefix, and taking out one that is not there is no error. When some entries
// of a call fail, the others are carried out all the same. It is safe for concurrent use.
type Table interface {
	Ban([]decision.Rule) error
	Unban([]netip.Prefix) error
	// Swap is Ban and Unban in one step, as a whole list wants it: all of the new entries are in force
	// before any of the old ones is gone. A prefix in both stays. There are about n to put.
	Swap(n int, put iter.Seq[decision.Rule], remove []netip.Prefix) error
	Bans() iter.Seq2[decision.Rule, error]
	// BanHit looks up the entry for exactly prefix.
	BanHit(prefix netip.Prefix) (decision.Rule, bool, error)
	// SetClass changes what is done with all entries of a class, and ClassModes tells.
	SetClass(decision.Class, decision.Mode) error
	ClassModes() ([decision.Classes]decision.Mode, error)
	Allow([]decision.Allow) error
	Disallow([]netip.Prefix) error
	Allows() iter.Seq2[decision.Allow, error]
}
