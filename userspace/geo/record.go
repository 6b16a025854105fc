package geo

import "strconv"

// City is the record of a city database. Its fields have the names that rules use.
type City struct {
	City struct {
		GeoNameID uint              `maxminddb:"geoname_id"`
		Names     map[string]string `maxminddb:"names"` // by language
	} `maxminddb:"city"`
	Continent struct {
		Code      string            `maxminddb:"code"`
		GeoNameID uint              `maxminddb:"geoname_id"`
		Names     map[string]string `maxminddb:"names"`
	} `maxminddb:"continent"`
	Country            Country       `maxminddb:"country"`
	RegisteredCountry  Country       `maxminddb:"registered_country"`
	RepresentedCountry Represented   `maxminddb:"represented_country"`
	Subdivisions       []Subdivision `maxminddb:"subdivisions"`
	Location           struct {
		AccuracyRadius uint16  `maxminddb:"accuracy_radius"` // kilometres
		Latitude       float64 `maxminddb:"latitude"`
		Longitude      float64 `maxminddb:"longitude"`
		MetroCode      uint    `maxminddb:"metro_code"`
		TimeZone       string  `maxminddb:"time_zone"`
	} `maxminddb:"location"`
	Postal struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"postal"`
	Traits struct {
		IsAnonymousProxy    bool `maxminddb:"is_anonymous_proxy"`
		IsAnycast           bool `maxminddb:"is_anycast"`
		IsSatelliteProvider bool `maxminddb:"is_satellite_provider"`
	} `maxminddb:"traits"`
}

// Country is one of the countries that a City names.
type Country struct {
	GeoNameID         uint              `maxminddb:"geoname_id"`
	IsInEuropeanUnion bool              `maxminddb:"is_in_european_union"`
	IsoCode           string            `maxminddb:"iso_code"`
	Names             map[string]string `maxminddb:"names"`
}

// Represented is the country that an address stands for, such as that of a military base.
type Represented struct {
	GeoNameID         uint              `maxminddb:"geoname_id"`
	IsInEuropeanUnion bool              `maxminddb:"is_in_european_union"`
	IsoCode           string            `maxminddb:"iso_code"`
	Names             map[string]string `maxminddb:"names"`
	Type              string            `maxminddb:"type"`
}

// Subdivision is a part of a country.
type Subdivision struct {
	GeoNameID uint              `maxminddb:"geoname_id"`
	IsoCode   string            `maxminddb:"iso_code"`
	Names     map[string]string `maxminddb:"names"`
}

// ASN is the record of a database of autonomous systems.
type ASN struct {
	AutonomousSystemNumber       uint   `maxminddb:"autonomous_system_number"`
	AutonomousSystemOrganization string `maxminddb:"autonomous_system_organization"`
}

// Place is where an address is, as text for the fields of an event.
type Place struct {
	ISOCode             string // of the country; empty when no country is known
	InEU                string // "true" or "false"
	Latitude, Longitude string // degrees, with six decimals
}

// whereabouts is the part of a city's record that makes a Place.
type whereabouts struct {
	Country            nation `maxminddb:"country"`
	RegisteredCountry  nation `maxminddb:"registered_country"`
	RepresentedCountry nation `maxminddb:"represented_country"`
	Location           struct {
		Latitude  float64 `maxminddb:"latitude"`
		Longitude float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
}

type nation struct {
	IsoCode           string `maxminddb:"iso_code"`
	IsInEuropeanUnion bool   `maxminddb:"is_in_european_union"`
}

func newPlace(w *whereabouts) *Place {
	p := &Place{Latitude: degrees(w.Location.Latitude), Longitude: degrees(w.Location.Longitude)}
	var in nation
	for _, in = range []nation{w.Country, w.RegisteredCountry, w.RepresentedCountry} {
		if in.IsoCode != "" {
			break
		}
	}
	p.ISOCode, p.InEU = in.IsoCode, strconv.FormatBool(in.IsoCode != "" && in.IsInEuropeanUnion)
	return p
}

func degrees(f float64) string { return strconv.FormatFloat(f, 'f', 6, 64) }
