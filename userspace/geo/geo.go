// Package geo says where an address is and whose network it is in, by databases in the MaxMind
// format.
//
// A database is opened once and mapped, so that it costs no memory of its own. Replace its file by
// renaming a new one over it, as downloaders do: one that is cut short in place makes look-ups
// fail until it is opened again.
package geo

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"runtime/debug"

	"github.com/oschwald/maxminddb-golang/v2"

	"gabion/userspace/recent"
)

// Names of the databases in the data directory.
const (
	CityFile = "GeoLite2-City.mmdb"
	ASNFile  = "GeoLite2-ASN.mmdb"
)

// noRecord is the key of what is remembered for addresses without a record.
const noRecord = math.MaxUint

// remembered is how many decoded records are kept of each kind: many addresses share one.
const remembered = 4096

// Databases are the opened databases. They are safe for concurrent use; whoever drops the last
// reference closes them.
type Databases struct {
	city, asn *database
	places    *recent.Cache[uintptr, *Place]
	cities    *recent.Cache[uintptr, *City]
	networks  *recent.Cache[uintptr, *ASN]
}

// Open opens the databases of a directory. One that is missing or cannot be read is left out, and
// look-ups in it find nothing; the error is about those that cannot be read. The result is never nil.
func Open(dir string) (*Databases, error) {
	d := &Databases{
		places: recent.New[uintptr, *Place](remembered), cities: recent.New[uintptr, *City](remembered), networks: recent.New[uintptr, *ASN](remembered),
	}
	var errs [2]error
	d.city, errs[0] = open(filepath.Join(dir, CityFile))
	d.asn, errs[1] = open(filepath.Join(dir, ASNFile))
	return d, errors.Join(errs[0], errs[1])
}

// City returns the city's record of an address: an empty one when the database does not have the
// address, nil when there is no database. The record is shared: it must not be changed.
func (d *Databases) City(address string) (*City, error) {
	return find(d.city, d.cities, address, func(c *City) *City { return c })
}

// Place returns the short form of a city's record, under the conditions of City.
func (d *Databases) Place(address string) (*Place, error) {
	return find(d.city, d.places, address, newPlace)
}

// ASN returns the autonomous system of an address, under the conditions of City.
func (d *Databases) ASN(address string) (*ASN, error) {
	return find(d.asn, d.networks, address, func(a *ASN) *ASN { return a })
}

// Range returns the network that shares the address's record among the autonomous systems. It is
// not valid when the address has none or there is no database.
func (d *Databases) Range(address string) (netip.Prefix, error) {
	if d.asn == nil {
		return netip.Prefix{}, nil
	}
	var prefix netip.Prefix
	err := d.asn.lookup(address, func(r maxminddb.Result) error {
		if r.Found() {
			prefix = r.Prefix()
		}
		return r.Err()
	})
	return prefix, err
}

// IPNet returns Range as rules see it: nil for none.
func (d *Databases) IPNet(address string) (*net.IPNet, error) {
	p, err := d.Range(address)
	if err != nil || !p.IsValid() {
		return nil, err
	}
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}, nil
}

// database is one opened file.
type database struct {
	path   string
	reader *maxminddb.Reader
}

func open(path string) (*database, error) {
	r, err := maxminddb.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open address database %s: %w", path, err)
	}
	return &database{path, r}, nil
}

// find returns the record of an address in the form of its cache.
func find[Record, Form any](d *database, cache *recent.Cache[uintptr, *Form], address string, form func(*Record) *Form) (*Form, error) {
	if d == nil {
		return nil, nil
	}
	var out *Form
	err := d.lookup(address, func(r maxminddb.Result) error {
		if err := r.Err(); err != nil {
			return err
		}
		key := uintptr(noRecord)
		if r.Found() {
			key = r.Offset()
		}
		var ok bool
		if out, ok = cache.Get(key); ok {
			return nil
		}
		record := new(Record)
		if err := r.Decode(record); err != nil { // of an address that has none, nothing
			return err
		}
		out = form(record)
		cache.Put(key, out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// lookup hands what the database says of an address to use. Reading memory whose file was cut short
// is a fault of the processor, which is turned into an error.
func (d *database) lookup(address string, use func(maxminddb.Result) error) (err error) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return fmt.Errorf("look up %.50q: it is no address", address)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("address database %s was changed in place: reload the rules: %v", d.path, r)
		}
	}()
	if err := use(d.reader.Lookup(addr.Unmap().WithZone(""))); err != nil {
		return fmt.Errorf("look up %s in %s: %w", addr, d.path, err)
	}
	return nil
}
