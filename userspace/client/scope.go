package client

import (
	"strings"

	"gabion/userspace/decision"
)

// CanonicalScope returns the usual spelling of the scopes that are compared without regard to
// case; any other scope is returned as it is.
func CanonicalScope(s string) string {
	for _, known := range []string{decision.ScopeIP, decision.ScopeRange, decision.ScopeAS, decision.ScopeCountry} {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return s
}
