package exprlib

import (
	"strings"
	"sync/atomic"
)

// cases changes the case of texts. Many rules ask for the same text of an event in the other case, so
// that the last results are remembered, by a hash.
type cases struct {
	change func(string) string
	slots  [caseSlots]atomic.Pointer[changedCase]
}

const (
	caseSlots = 64
	maxCased  = 1024 // bytes of a text that is remembered
)

type changedCase struct{ from, to string }

// of returns the text in the other case.
func (c *cases) of(s string) string {
	if s == "" || len(s) > maxCased {
		return c.change(s)
	}
	slot := &c.slots[(len(s)*31^int(s[0])^int(s[len(s)/2])*7^int(s[len(s)-1])*3)%caseSlots]
	if known := slot.Load(); known != nil && known.from == s {
		return known.to
	}
	to := c.change(s)
	if to != s { // what stays as it is costs no more the next time
		slot.Store(&changedCase{strings.Clone(s), to}) // not the block of the log
	}
	return to
}
