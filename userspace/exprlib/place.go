package exprlib

import (
	"net"

	"gabion/userspace/expr"
	"gabion/userspace/geo"
)

// placeFunctions look addresses up in the databases of package geo. Without a database the result is
// nil; text that is no address is an error.
func (l *Lib) placeFunctions() []expr.Function {
	databases := l.deps.Geo
	if databases == nil {
		databases = &geo.Databases{}
	}
	return []expr.Function{
		bind1("GeoIPEnrich", func(ip string) (*geo.City, error) { return databases.City(ip) }),
		bind1("GeoIPASNEnrich", func(ip string) (*geo.ASN, error) { return databases.ASN(ip) }),
		bind1("GeoIPRangeEnrich", func(ip string) (*net.IPNet, error) { return databases.IPNet(ip) }),
		sure1("IPToCountry", func(ip string) string {
			at, err := databases.Place(ip)
			if err != nil || at == nil {
				return ""
			}
			return at.ISOCode
		}),
	}
}
