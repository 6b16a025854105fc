// Package exprlib holds the helpers that rule expressions can call: text, JSON, XML, addresses,
// data files, stashes, names, places, decisions.
//
// Helpers are pure except for what a Lib owns, the data files that rules declare and the stashes that
// parsers fill, and what it was given: the clock, decisions, databases, the ways to ask others. Their
// input is hostile: work and results are bounded, and a wrong type at run time is an error of the
// expression.
package exprlib

import (
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"gabion/userspace/datafile"
	"gabion/userspace/dns"
	"gabion/userspace/expr"
	"gabion/userspace/geo"
)

// Deps is what a Lib works with.
type Deps struct {
	DataDir string                                      // directory of data files; empty for none
	Data    fs.FS                                       // shipped data files, read where DataDir lacks the file; nil for none
	History History                                     // nil: there were no decisions
	InForce InForce                                     // nil: none is in force
	Geo     *geo.Databases                              // nil: no places are known
	DNS     *dns.Resolver                               // nil: no names are known
	CTI     Reputation                                  // nil: the helper fails
	HTTP    func(*http.Request) (*http.Response, error) // nil: the helpers fail
	Log     *slog.Logger
	Now     func() time.Time
}

// Lib is the state behind the helpers. It is safe for concurrent use.
type Lib struct {
	deps     Deps
	hostname string

	data *datafile.Store

	stashMu sync.RWMutex
	stashes map[string]*Stash

	warned onceSet
}

// New returns a Lib without data files and stashes. Without a logger it is silent; without a clock
// its time stands still, as in a test.
func New(deps Deps) *Lib {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = func() time.Time { return time.Time{} }
	}
	l := &Lib{deps: deps, stashes: map[string]*Stash{}}
	l.hostname, _ = os.Hostname()
	l.data = datafile.New(datafile.Config{Dir: deps.DataDir, Shipped: deps.Data, Log: deps.Log})
	return l
}

// Functions returns the helpers.
func (l *Lib) Functions() []expr.Function {
	return slices.Concat(
		pure(stringFunctions()), pure(encodingFunctions()), pure(numberFunctions()), pure(listFunctions()),
		pure(addressFunctions()), pure(jsonFunctions()), pure(xmlFunctions()), storingFunctions(),
		pure(requestFunctions()), l.dataFunctions(), l.stashFunctions(), l.timeFunctions(), l.decisionFunctions(),
		l.placeFunctions(), l.nameFunctions(), l.reputationFunctions(), l.httpFunctions(), l.logFunctions(),
	)
}

// onceSet remembers what was already said, so that hostile input cannot fill the log.
type onceSet struct {
	mu   sync.Mutex
	said map[string]bool
}

// first reports whether key is new. When very many keys were new it says no.
func (o *onceSet) first(key string) bool {
	const most, longest = 1000, 200
	key = key[:min(len(key), longest)]
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[key] || len(o.said) >= most {
		return false
	}
	if o.said == nil {
		o.said = map[string]bool{}
	}
	o.said[key] = true
	return true
}
