package bucket

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// addSources adds who one retained event is about, by source value. A later event replaces an
// earlier one of the same value, which may be empty: there is an alert then, though nobody to decide
// about. Each source is a cell of its own: post-overflow rules may write to it without changing the
// scenario.
func (s *Scenario) addSources(to map[string]*decision.Source, r *retained) error {
	if r.scopeFailed {
		return errors.New("the scope expression failed")
	}
	if r.whole != nil && r.whole.Type == event.Overflow {
		s.addInner(to, &r.whole.Overflow, r.scopeValue)
		return nil
	}
	src := &decision.Source{Scope: s.scope, Value: strings.Clone(r.scopeValue)}
	if s.scope == decision.ScopeIP || s.scope == decision.ScopeRange {
		if err := s.fill(src, r); err != nil {
			return err
		}
	}
	to[src.Value] = src
	return nil
}

// fill makes a source of scope Ip or Range from the event's address and enrichments.
func (s *Scenario) fill(src *decision.Source, r *retained) error {
	text, within := r.sourceMeta[0], r.sourceMeta[1]
	if _, err := netip.ParseAddr(text); err != nil {
		return fmt.Errorf("an event's source_ip %q is no address", cut(text, 64))
	}
	src.IP = strings.Clone(text) // a decision on it outlives the record
	src.AsNumber = strings.Clone(cmp.Or(r.enriched("ASNumber"), r.enriched("ASNNumber")))
	src.AsName, src.Cn = strings.Clone(r.enriched("ASNOrg")), strings.Clone(r.enriched("IsoCode"))
	src.Latitude, src.Longitude = degrees(r.enriched("Latitude")), degrees(r.enriched("Longitude"))
	if within != "" {
		p, err := netip.ParsePrefix(within)
		if err != nil {
			return fmt.Errorf("an event's SourceRange %q is no prefix", cut(within, 64))
		}
		src.Range = p.Masked().String()
	}
	switch {
	case s.scope == decision.ScopeIP:
		src.Value = src.IP
	case s.scopeExpr == nil:
		src.Value = src.Range
	}
	return nil
}

// degrees reads a coordinate; text that is none is zero.
func degrees(s string) float32 {
	f, err := strconv.ParseFloat(s, 32)
	if err != nil {
		return 0
	}
	return float32(f)
}

// addInner adds the sources of an overflow that was fed back: those of the same scope as they are,
// addresses as their range when this scenario is about ranges. Others say nothing here.
func (s *Scenario) addInner(to map[string]*decision.Source, inner *event.RuntimeAlert, scopeValue string) {
	for _, src := range inner.Sources {
		c := *src
		switch {
		case src.Scope == s.scope:
		case s.scope == decision.ScopeRange && src.Scope == decision.ScopeIP:
			c.Scope, c.IP, c.Value = s.scope, "", src.Range
			if s.scopeExpr != nil {
				c.Value = strings.Clone(scopeValue)
			}
		default:
			continue
		}
		if c.Value != "" {
			to[c.Value] = &c
		}
	}
}
