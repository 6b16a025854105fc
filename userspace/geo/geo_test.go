package geo_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/geo"
	"gabion/userspace/geo/geotest"
)

func country(code string, union bool) geotest.Record {
	return geotest.Record{"iso_code": code, "is_in_european_union": union, "names": map[string]string{"en": "Country " + code}}
}

// mustWrite writes databases into a directory of the test.
func mustWrite(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	city := map[netip.Prefix]geotest.Record{
		netip.MustParsePrefix("192.0.2.0/24"): {
			"country": country("FR", true), "registered_country": country("US", false),
			"location":     geotest.Record{"latitude": 48.5, "longitude": -2.25, "time_zone": "Europe/Paris"},
			"subdivisions": []geotest.Record{{"iso_code": "BRE", "names": map[string]string{"en": "Brittany"}}},
			"city":         geotest.Record{"names": map[string]string{"en": "Saint-Brieuc"}, "geoname_id": uint32(7)},
		},
		netip.MustParsePrefix("198.51.100.0/25"):   {"registered_country": country("DE", true)},
		netip.MustParsePrefix("198.51.100.128/25"): {"represented_country": country("US", false)},
		netip.MustParsePrefix("2001:db8::/40"):     {"country": country("JP", false)},
	}
	asn := map[netip.Prefix]geotest.Record{
		netip.MustParsePrefix("192.0.2.0/25"):  {"autonomous_system_number": uint32(64500), "autonomous_system_organization": "Example"},
		netip.MustParsePrefix("2001:db8::/33"): {"autonomous_system_number": uint32(64501), "autonomous_system_organization": strings.Repeat("long ", 20)},
	}
	for file, records := range map[string]map[netip.Prefix]geotest.Record{geo.CityFile: city, geo.ASNFile: asn} {
		if err := geotest.Write(filepath.Join(dir, file), strings.TrimSuffix(file, ".mmdb"), records); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustOpen(t testing.TB, dir string) *geo.Databases {
	t.Helper()
	d, err := geo.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPlaceTakesTheFirstCountryThatIsKnown(t *testing.T) {
	d := mustOpen(t, mustWrite(t))
	for _, tt := range []struct {
		name, address string
		want          geo.Place
	}{
		{"country", "192.0.2.77", geo.Place{ISOCode: "FR", InEU: "true", Latitude: "48.500000", Longitude: "-2.250000"}},
		{"IPv4 written as IPv6", "::ffff:192.0.2.77", geo.Place{ISOCode: "FR", InEU: "true", Latitude: "48.500000", Longitude: "-2.250000"}},
		{"registered country", "198.51.100.1", geo.Place{ISOCode: "DE", InEU: "true", Latitude: "0.000000", Longitude: "0.000000"}},
		{"represented country", "198.51.100.200", geo.Place{ISOCode: "US", InEU: "false", Latitude: "0.000000", Longitude: "0.000000"}},
		{"IPv6", "2001:db8:1::1", geo.Place{ISOCode: "JP", InEU: "false", Latitude: "0.000000", Longitude: "0.000000"}},
		{"not in the database", "203.0.113.1", geo.Place{InEU: "false", Latitude: "0.000000", Longitude: "0.000000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second time from memory
				got, err := d.Place(tt.address)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestCityHasTheWholeRecord(t *testing.T) {
	got, err := mustOpen(t, mustWrite(t)).City("192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if got.City.Names["en"] != "Saint-Brieuc" || got.City.GeoNameID != 7 || got.Country.Names["en"] != "Country FR" ||
		got.Subdivisions[0].IsoCode != "BRE" || got.Location.TimeZone != "Europe/Paris" || got.RegisteredCountry.IsoCode != "US" {
		t.Errorf("record is %+v", got)
	}
}

func TestASNAndItsRange(t *testing.T) {
	d := mustOpen(t, mustWrite(t))
	for _, tt := range []struct {
		address string
		number  uint
		network string
	}{
		{"192.0.2.1", 64500, "192.0.2.0/25"},
		{"::ffff:192.0.2.1", 64500, "192.0.2.0/25"},
		{"2001:db8::1", 64501, "2001:db8::/33"},
		{"192.0.2.200", 0, ""},
	} {
		a, err := d.ASN(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		network := ""
		if n, err := d.IPNet(tt.address); err != nil {
			t.Error(err)
		} else if n != nil {
			network = n.String()
		}
		if a.AutonomousSystemNumber != tt.number || network != tt.network {
			t.Errorf("%s: system %d in %q, want %d in %q", tt.address, a.AutonomousSystemNumber, network, tt.number, tt.network)
		}
	}
}

func TestTextThatIsNoAddressIsAnError(t *testing.T) {
	d := mustOpen(t, mustWrite(t))
	for _, text := range []string{"", "192.0.2.1/24", "example.com", strings.Repeat("1", 100_000)} {
		if _, err := d.Place(text); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20q: err = %.300v", text, err)
		}
	}
}

func TestADatabaseThatIsMissingFindsNothing(t *testing.T) {
	dir := mustWrite(t)
	if err := os.Remove(filepath.Join(dir, geo.ASNFile)); err != nil {
		t.Fatal(err)
	}
	d := mustOpen(t, dir)
	if a, err := d.ASN("192.0.2.1"); a != nil || err != nil {
		t.Errorf("without a database: %v, %v", a, err)
	}
	if n, err := d.IPNet("192.0.2.1"); n != nil || err != nil {
		t.Errorf("without a database: %v, %v", n, err)
	}
	if p, err := d.Place("192.0.2.1"); err != nil || p.ISOCode != "FR" {
		t.Errorf("the other database: %v, %v", p, err)
	}
}

func TestAMalformedDatabaseIsRefused(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte("not a database"), "metadata cut": []byte("\xab\xcd\xefMaxMind.com\xe9"),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, geo.CityFile), content, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := geo.Open(dir)
		if err == nil || !strings.Contains(err.Error(), geo.CityFile) {
			t.Errorf("%s: err = %v", name, err)
		}
		if c, err := d.City("192.0.2.1"); c != nil || err != nil {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

// A file that is overwritten in place is a mistake of the operator's; it must not end the daemon.
func TestADatabaseCutShortInPlaceIsAnError(t *testing.T) {
	dir := mustWrite(t)
	d := mustOpen(t, dir)
	if err := os.Truncate(filepath.Join(dir, geo.CityFile), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Place("192.0.2.1"); err == nil || !strings.Contains(err.Error(), "changed in place") {
		t.Errorf("err = %v", err)
	}
}

func TestLookUpsRunConcurrently(t *testing.T) {
	d := mustOpen(t, mustWrite(t))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if p, err := d.Place("192.0.2.1"); err != nil || p.ISOCode != "FR" {
					t.Errorf("got %v, %v", p, err)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzDatabase looks up in databases of any content.
func FuzzDatabase(f *testing.F) {
	content, err := os.ReadFile(filepath.Join(mustWrite(f), geo.CityFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add(content[:len(content)/2])
	f.Add([]byte("\xab\xcd\xefMaxMind.com"))
	for i := 0; i < len(content); i += len(content) / 40 {
		broken := append([]byte(nil), content...)
		broken[i] ^= 0x55
		f.Add(broken)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, geo.CityFile), content, 0o600); err != nil {
			t.Fatal(err)
		}
		d, _ := geo.Open(dir)
		for _, address := range []string{"192.0.2.1", "2001:db8::1", "203.0.113.255"} {
			if c, err := d.City(address); c != nil && err != nil {
				t.Errorf("both a record and an error: %v", err)
			}
		}
	})
}

func BenchmarkPlace(b *testing.B) {
	d := mustOpen(b, mustWrite(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Place("192.0.2.1"); err != nil {
			b.Fatal(err)
		}
	}
}
