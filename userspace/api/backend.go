package api

import (
	"context"
	"net/netip"
	"time"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/lists"
	"gabion/userspace/store"
)

// Backend is the daemon as the API sees it. It is safe for concurrent use.
type Backend interface {
	// Submit enforces and records alerts of a client and returns when the record holds them.
	// Alerts without decisions get those of the profiles. What the guard refuses is taken out of
	// the alerts and returned.
	Submit(ctx context.Context, alerts []*decision.Alert) ([]Refusal, error)

	Alerts(ctx context.Context, f store.AlertFilter) ([]*decision.Alert, error)
	Alert(ctx context.Context, id int64) (*decision.Alert, error)

	// Active returns the active decisions in order of their ids. They must not be changed.
	Active(ctx context.Context) ([]*decision.Decision, error)
	// Hits returns the packets that the kernel counted for exactly this prefix.
	Hits(p netip.Prefix) (packets uint64, ok bool)
	// Allowed reports whether no ban can stop the prefix, and why.
	Allowed(p netip.Prefix) (reason string, ok bool)
	// End lifts decisions from the kernel and in the record.
	End(ctx context.Context, ids []uint64) error

	Allows(ctx context.Context) ([]client.Allow, error)
	Allow(ctx context.Context, p netip.Prefix, req client.AllowRequest) (client.Allow, error)
	// Disallow removes a user's entry. It fails with Conflictf when the entry is not the user's.
	Disallow(ctx context.Context, p netip.Prefix) (bool, error)

	Lists(ctx context.Context) ([]client.List, error)
	// ImportList puts a list in force, in place of the one of that name, and keeps it. Without a mode
	// it has that of the one before, or drops.
	ImportList(ctx context.Context, name string, in ListImport) (client.List, error)
	// RemoveList reports whether there was such a list.
	RemoveList(ctx context.Context, name string) (bool, error)
	// SetListMode fails with lists.ErrUnknown when there is no such list.
	SetListMode(ctx context.Context, name string, mode decision.Mode) error

	Why(ctx context.Context, addr netip.Addr) (*client.Why, error)
	Status() client.Status
}

// ListImport is a list that came in.
type ListImport struct {
	Entries  *lists.Entries
	Origin   string
	Duration time.Duration
	Mode     *decision.Mode // nil: as it was
}

// Refusal is a decision that is not enforced because its target must never be banned.
type Refusal struct {
	Decision *decision.Decision
	Reason   string
}
