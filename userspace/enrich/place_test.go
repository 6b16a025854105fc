package enrich

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gabion/userspace/dns"
	"gabion/userspace/event"
	"gabion/userspace/geo"
	"gabion/userspace/geo/geotest"
)

// mustDatabases writes databases that know the network 192.0.2.0/24.
func mustDatabases(t *testing.T) *geo.Databases {
	t.Helper()
	dir := t.TempDir()
	prefix := netip.MustParsePrefix("192.0.2.0/24")
	for file, record := range map[string]geotest.Record{
		geo.CityFile: {"country": geotest.Record{"iso_code": "FR", "is_in_european_union": true}, "location": geotest.Record{"latitude": 46.0, "longitude": 2.0}},
		geo.ASNFile:  {"autonomous_system_number": uint32(64500), "autonomous_system_organization": "Example"},
	} {
		if err := geotest.Write(filepath.Join(dir, file), file, map[netip.Prefix]geotest.Record{prefix: record}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := geo.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMethodsAboutAnAddress(t *testing.T) {
	methods := Methods(Deps{Now: clock, Geo: mustDatabases(t), DNS: dns.New(dns.Config{Now: clock, LookupAddr: func(_ context.Context, address string) ([]string, error) {
		if address == "192.0.2.1" {
			return []string{"Host.example.com.", "other.example.com."}, nil
		}
		return nil, nil
	}})})
	for _, tt := range []struct {
		method, value string
		want          map[string]string
	}{
		{"GeoIpCity", "192.0.2.1", map[string]string{"IsoCode": "FR", "IsInEU": "true", "Latitude": "46.000000", "Longitude": "2.000000"}},
		{"GeoIpCity", "198.51.100.1", map[string]string{"IsoCode": "", "IsInEU": "false", "Latitude": "0.000000", "Longitude": "0.000000"}},
		{"GeoIpCity", "no address", nil},
		{"GeoIpCity", "", nil},
		{"GeoIpASN", "192.0.2.1", map[string]string{"ASNNumber": "64500", "ASNumber": "64500", "ASNOrg": "Example"}},
		{"GeoIpASN", "198.51.100.1", map[string]string{"ASNNumber": "0", "ASNumber": "0", "ASNOrg": ""}},
		{"GeoIpASN", "192.0.2.0/24", nil},
		{"IpToRange", "192.0.2.1", map[string]string{"SourceRange": "192.0.2.0/24"}},
		{"IpToRange", "198.51.100.1", nil},
		{"IpToRange", "", nil},
		{"reverse_dns", "192.0.2.1", map[string]string{"reverse_dns": "Host.example.com."}},
		{"reverse_dns", "192.0.2.2", nil},
		{"reverse_dns", "host", nil},
	} {
		t.Run(tt.method+" of "+tt.value, func(t *testing.T) {
			var evt event.Event
			if err := methods[tt.method](tt.value, &evt); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, evt.Enriched.Map(), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMethodsWithoutDatabaseAddNothingAndSayItOnce(t *testing.T) {
	var log bytes.Buffer
	methods := Methods(Deps{Now: clock, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, name := range []string{"GeoIpCity", "GeoIpASN", "IpToRange", "reverse_dns", "GeoIpCity", "GeoIpASN"} {
		var evt event.Event
		if err := methods[name]("192.0.2.1", &evt); err != nil || evt.Enriched.Len() > 0 {
			t.Errorf("%s gives %v, %v, want nothing", name, evt.Enriched.Map(), err)
		}
	}
	if n := strings.Count(log.String(), "address database missing"); n != 2 {
		t.Errorf("said %d times, want once for each file:\n%s", n, &log)
	}
}
