package enrich

import (
	"log/slog"
	"strconv"
	"sync/atomic"

	"gabion/userspace/event"
	"gabion/userspace/geo"
)

// places looks up where addresses are. A value that is no address is nowhere, and adds nothing; so
// does a database that is not there, of which the log says once.
type places struct {
	databases     *geo.Databases
	log           *slog.Logger
	noCity, noASN atomic.Bool // said
}

// city stores the country of the address and its coordinates.
func (p *places) city(value string, evt *event.Event) error {
	at, err := p.databases.Place(value)
	if err != nil || p.missing(at == nil, &p.noCity, geo.CityFile) {
		return nil
	}
	evt.Enriched.Set("IsoCode", at.ISOCode)
	evt.Enriched.Set("IsInEU", at.InEU)
	evt.Enriched.Set("Latitude", at.Latitude)
	evt.Enriched.Set("Longitude", at.Longitude)
	return nil
}

// system stores the autonomous system of the address.
func (p *places) system(value string, evt *event.Event) error {
	as, err := p.databases.ASN(value)
	if err != nil || p.missing(as == nil, &p.noASN, geo.ASNFile) {
		return nil
	}
	number := strconv.FormatUint(uint64(as.AutonomousSystemNumber), 10)
	evt.Enriched.Set("ASNNumber", number)
	evt.Enriched.Set("ASNumber", number)
	evt.Enriched.Set("ASNOrg", as.AutonomousSystemOrganization)
	return nil
}

// network stores the range of addresses that the address belongs to.
func (p *places) network(value string, evt *event.Event) error {
	prefix, err := p.databases.Range(value)
	if err != nil || !prefix.IsValid() {
		return nil
	}
	evt.Enriched.Set("SourceRange", prefix.String())
	return nil
}

// missing reports whether a database lacks, and says so the first time.
func (p *places) missing(is bool, said *atomic.Bool, file string) bool {
	if is && said.CompareAndSwap(false, true) {
		p.log.Warn("address database missing, so nothing is known about where addresses are", "file", file)
	}
	return is
}
