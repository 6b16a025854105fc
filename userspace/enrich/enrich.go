// Package enrich has the methods that a parser's statics can call: they take one value of an event
// and store what they find in evt.Enriched.
package enrich

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gabion/userspace/event"
)

// Method computes enrichment from a value and stores it in evt.Enriched. It may read and set other
// fields of the event.
type Method func(value string, evt *event.Event) error

// Deps is what methods need from outside.
type Deps struct {
	Now     func() time.Time                                            // wall clock
	Resolve func(ctx context.Context, address string) ([]string, error) // PTR names of an address; nil: none are looked up
}

// Methods returns the methods by the names that rules use.
func Methods(deps Deps) map[string]Method {
	return map[string]Method{
		"ParseDate":     dates{now: deps.Now}.parse,
		"reverse_dns":   newResolver(deps).method,
		"UnmarshalJSON": unmarshalJSON,
		"GeoIpCity":     noDatabase,
		"GeoIpASN":      noDatabase,
		"IpToRange":     noDatabase,
	}
}

// noDatabase stands for methods whose address database is not configured: they add nothing.
func noDatabase(string, *event.Event) error { return nil }

// unmarshalJSON decodes the raw line into evt.Unmarshaled; the value is ignored.
func unmarshalJSON(_ string, evt *event.Event) error {
	if err := json.Unmarshal([]byte(evt.Line.Raw), &evt.Unmarshaled); err != nil {
		return fmt.Errorf("decode line as JSON: %w", err)
	}
	return nil
}
