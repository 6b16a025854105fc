package exprlib

import (
	"encoding/base64"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"
)

// FuzzQuery compares with the standard library where that takes the text.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"a=1&b=%41+c&a=2", "&&=&a", "a=%zz&b=1;c", "%41=%", "a==b&+=%20", "\xff=%ff"} {
		f.Add(s, "a")
	}
	f.Fuzz(func(t *testing.T, query, name string) {
		got := parseQuery(query)
		if want, err := url.ParseQuery(query); err == nil && !maps.EqualFunc(got, map[string][]string(want), func(a, b []string) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%q gives %v, want %v", query, got, want)
		}
		values := extractQueryParam("/x?"+query, name)
		if len(values) != len(got[name]) || len(values) > 0 && !reflect.DeepEqual(values, got[name]) {
			t.Errorf("%q of %q is %v, want %v", name, query, values, got[name])
		}
		parseURI(query)
	})
}

// FuzzUnescape checks that what was escaped comes back, and that nothing else gets longer.
func FuzzUnescape(f *testing.F) {
	f.Add("a b/c?%", "%41+%zz")
	path, query := orInput(url.PathUnescape), orInput(url.QueryUnescape)
	f.Fuzz(func(t *testing.T, text, escaped string) {
		if path(url.PathEscape(text)) != text || query(url.QueryEscape(text)) != text {
			t.Errorf("%q does not come back", text)
		}
		for _, out := range []string{path(escaped), query(escaped), unescapeLenient(escaped)} {
			if len(out) > len(escaped) {
				t.Errorf("%q becomes %q", escaped, out)
			}
		}
		if out, err := decodeBase64(base64.StdEncoding.EncodeToString([]byte(text))); err != nil || out != text {
			t.Errorf("%q does not come back from base64: %q, %v", text, out, err)
		}
		_, _ = decodeBase64(escaped)
	})
}

// FuzzAddresses compares with package net, which has other rules for zones and for ranges of IPv4
// written as IPv6.
func FuzzAddresses(f *testing.F) {
	f.Add("192.0.2.1", "192.0.2.0/24")
	f.Add("::ffff:192.0.2.1", "192.0.2.0/24")
	f.Add("2001:db8::1%eth0", "2001:db8::/32")
	f.Add("192.0.2.1:80", "/24")
	f.Fuzz(func(t *testing.T, ip, cidr string) {
		addr := parseAddr(ip)
		if std := net.ParseIP(ip); (std != nil) != addr.IsValid() || std != nil && (std.To4() != nil) != addr.Is4() {
			t.Errorf("%q is %v, package net says %v", ip, addr, std)
		}
		_, network, err := net.ParseCIDR(cidr)
		prefix, prefixErr := netip.ParsePrefix(cidr)
		if in := inRange(cidr)(ip); err == nil && prefixErr == nil && !prefix.Addr().Is4In6() && in != (addr.IsValid() && network.Contains(net.ParseIP(ip))) {
			t.Errorf("%q in %q: %v", ip, cidr, in)
		} else if err != nil && in {
			t.Errorf("%q is in %q, which is no range", ip, cidr)
		}
		if out := ipToRange(ip, cidr); out != "" && !inRange(out)(ip) {
			t.Errorf("%q is not in its range %s", ip, out)
		}
		parseSource(ip)
	})
}

func FuzzSprintf(f *testing.F) {
	f.Add("%s-%5.1f%%", "x")
	f.Add("%+09.3x %[1]d %*d", "y")
	f.Fuzz(func(t *testing.T, format, arg string) {
		out, err := sprintf(format, arg, 7)
		if err == nil && len(out) > 2000*(len(format)+1)+8*len(arg)*(len(format)+1) {
			t.Errorf("%q makes %d bytes", format, len(out))
		}
	})
}

func FuzzNumbers(f *testing.F) {
	f.Add("1416292204.061643", "51.45")
	f.Add("9999999999999999999", "1e999")
	f.Add("-1", "NaN")
	f.Fuzz(func(t *testing.T, unix, number string) {
		if out := parseUnix(unix); out != "" {
			if _, err := time.Parse(time.RFC3339, out); err != nil {
				t.Errorf("ParseUnix(%q) = %q: %v", unix, out, err)
			}
		}
		atof(number)
		_, _ = callDistance(number, unix, unix, number)
	})
}
