package exprlib

import (
	"errors"

	"gabion/userspace/cti"
	"gabion/userspace/expr"
)

// Reputation knows what a threat intelligence service says of an address. The result is shared: it
// must not be changed.
type Reputation interface {
	Item(ip string) (*cti.Item, error)
}

var errNoCTI = errors.New("cti is disabled")

func (l *Lib) reputationFunctions() []expr.Function {
	return []expr.Function{bind1("CrowdsecCTI", func(ip string) (*cti.Item, error) {
		if l.deps.CTI == nil {
			return nil, errNoCTI
		}
		return l.deps.CTI.Item(ip)
	})}
}
