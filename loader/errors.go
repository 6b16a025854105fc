package loader

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Errors that callers branch on.
var (
	// ErrNotLoaded says that nothing is pinned where it was looked for.
	ErrNotLoaded = errors.New("gabion is not loaded")
	// ErrVersion says that the pinned maps were made by another version of gabion.
	ErrVersion = errors.New("pinned by another version of gabion")
	// ErrBusy says that another process holds the data plane for writing.
	ErrBusy = errors.New("another gabion process is using it")
	// ErrFollowed says that another process reads the samples of dropped packets.
	ErrFollowed = errors.New("another process follows dropped packets: end it first")
	// ErrUnsupported says that this kernel, or this user, cannot do what is needed.
	ErrUnsupported = errors.New("this machine cannot run gabion's kernel programs")
	// ErrReadOnly says that a Plane was opened for reading only.
	ErrReadOnly = errors.New("opened for reading only")
	// ErrNoInterface says that an interface does not exist (any more).
	ErrNoInterface = errors.New("no such interface")
)

// FullError says which entries are not in force because a table is full. All others are in.
type FullError struct {
	Table    string // name of the kernel map
	Capacity uint32
	Prefixes []netip.Prefix // not in force
}

// maxNamed is how many prefixes an error message names.
const maxNamed = 3

// Error names the table, some of the prefixes and the way out.
func (e *FullError) Error() string {
	names := make([]string, 0, maxNamed+1)
	for i, p := range e.Prefixes {
		if i == maxNamed {
			names = append(names, fmt.Sprintf("and %d more", len(e.Prefixes)-maxNamed))
			break
		}
		names = append(names, p.String())
	}
	return fmt.Sprintf("table %s is full at %d entries: not in force: %s; raise its size in the configuration and load again",
		e.Table, e.Capacity, strings.Join(names, ", "))
}
