package exprlib

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"gabion/userspace/expr"
)

func encodingFunctions() []expr.Function {
	return []expr.Function{
		bind1("B64Decode", decodeBase64),
		sure1("PathEscape", url.PathEscape),
		sure1("QueryEscape", url.QueryEscape),
		sure1("PathUnescape", orInput(url.PathUnescape)),
		sure1("QueryUnescape", orInput(url.QueryUnescape)),
		sure1("ParseUri", parseURI),
		sure1("ParseQuery", func(s string) url.Values { return parseQuery(s) }),
		sure2("ExtractQueryParam", extractQueryParam),
	}
}

func decodeBase64(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", fmt.Errorf("decode base64: %w", err)
	}
	return string(b), nil
}

// orInput makes text that cannot be decoded come back as it is.
func orInput(decode func(string) (string, error)) func(string) string {
	return func(s string) string {
		out, err := decode(s)
		if err != nil {
			return s
		}
		return out
	}
}

// parseURI returns the query parameters of a well-formed URI, none of any other text.
func parseURI(s string) map[string][]string {
	u, err := url.Parse(s)
	if err != nil {
		return map[string][]string{}
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return map[string][]string{}
	}
	return q
}

// parseQuery reads a query string as attackers write it: only & separates, an escape that is none
// stays as it is.
func parseQuery(s string) map[string][]string {
	out := map[string][]string{}
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, value = unescapeLenient(key), unescapeLenient(value)
		out[key] = append(out[key], value)
	}
	return out
}

func extractQueryParam(uri, name string) []string {
	_, query, _ := strings.Cut(uri, "?")
	out := []string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		if key, value, _ := strings.Cut(pair, "="); unescapeLenient(key) == name {
			out = append(out, unescapeLenient(value))
		}
	}
	return out
}

func unescapeLenient(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out = append(out, ' ')
		case s[i] == '%' && i+2 < len(s) && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0:
			out = append(out, byte(hexDigit(s[i+1])<<4|hexDigit(s[i+2])))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
