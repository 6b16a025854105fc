// Package enrich has the methods that a parser's statics can call: they take one value of an event
// and store what they find in evt.Enriched.
package enrich

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"gabion/userspace/dns"
	"gabion/userspace/event"
	"gabion/userspace/geo"
)

// Method computes enrichment from a value and stores it in evt.Enriched. It may read and set other
// fields of the event.
type Method func(value string, evt *event.Event) error

// Deps is what methods need from outside.
type Deps struct {
	Now func() time.Time // wall clock
	DNS *dns.Resolver    // nil: no names are looked up
	Geo *geo.Databases   // nil: no places are looked up
	Log *slog.Logger     // nil: silent
}

// Methods returns the methods by the names that rules use.
func Methods(deps Deps) map[string]Method {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Geo == nil {
		deps.Geo = &geo.Databases{}
	}
	p := &places{databases: deps.Geo, log: deps.Log}
	return map[string]Method{
		"ParseDate":     newDates(deps.Now).parse,
		"reverse_dns":   names{deps.DNS}.reverse,
		"UnmarshalJSON": unmarshalJSON,
		"GeoIpCity":     p.city,
		"GeoIpASN":      p.system,
		"IpToRange":     p.network,
	}
}

// names looks up the names of addresses.
type names struct{ dns *dns.Resolver }

// reverse stores the first name of the address as reverse_dns, with its final dot. A value that is no
// address has no name.
func (n names) reverse(value string, evt *event.Event) error {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return nil
	}
	if found := n.dns.Names(addr); len(found) > 0 {
		evt.Enriched.Set("reverse_dns", found[0])
	}
	return nil
}

// unmarshalJSON decodes the raw line into evt.Unmarshaled; the value is ignored.
func unmarshalJSON(_ string, evt *event.Event) error {
	if err := json.Unmarshal([]byte(evt.Line.Raw), &evt.Unmarshaled); err != nil {
		return fmt.Errorf("decode line as JSON: %w", err)
	}
	return nil
}
