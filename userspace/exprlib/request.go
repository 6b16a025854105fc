package exprlib

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/corazawaf/libinjection-go"

	"gabion/userspace/expr"
)

// maxJudged is how much of a text is searched for injections, in bytes.
const maxJudged = 64 << 10

// requestFunctions judge what a web client sent.
func requestFunctions() []expr.Function {
	return []expr.Function{
		sure1("LibInjectionIsSQLI", func(s string) bool {
			is, _ := libinjection.IsSQLi(s[:min(len(s), maxJudged)])
			return is
		}),
		sure1("LibInjectionIsXSS", func(s string) bool { return libinjection.IsXSS(s[:min(len(s), maxJudged)]) }),
		sure1("JA4H", ja4h),
	}
}

// ja4h returns the JA4H fingerprint of a request: method, version, cookie, referer, number of headers
// and language, then the hashes of the headers' names, the cookies' names, and the cookies. Go keeps
// headers in no order, so their names are sorted.
func ja4h(req *http.Request) string {
	if req == nil {
		return ""
	}
	var names []string
	for name := range req.Header {
		if name != "Cookie" && name != "Referer" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var cookies, cookieNames []string
	for _, c := range req.Cookies() {
		cookieNames = append(cookieNames, c.Name)
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	slices.Sort(cookieNames)
	slices.Sort(cookies)
	return fmt.Sprintf("%s%d%d%s%s%02d%s_%s_%s_%s",
		ja4hMethod(req.Method), req.ProtoMajor, req.ProtoMinor, mark(len(cookies) > 0, 'c'), mark(req.Header.Get("Referer") != "", 'r'),
		min(len(names), 99), ja4hLanguage(req.Header.Get("Accept-Language")), shortHash(names), shortHash(cookieNames), shortHash(cookies))
}

func ja4hMethod(method string) string { return (strings.ToLower(method) + "00")[:2] }

func mark(is bool, letter byte) string {
	if is {
		return string(letter)
	}
	return "n"
}

// ja4hLanguage returns the first four letters and digits of the language that is wanted most, filled
// up with zeros.
func ja4hLanguage(header string) string {
	first, _, _ := strings.Cut(header, ",")
	first, _, _ = strings.Cut(first, ";")
	first = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(first), "-", ""))
	return (first + "0000")[:4]
}

// shortHash returns the beginning of the hash of a list, zeros for none.
func shortHash(list []string) string {
	if len(list) == 0 {
		return strings.Repeat("0", 12)
	}
	sum := sha256.Sum256([]byte(strings.Join(list, ",")))
	return hex.EncodeToString(sum[:6])
}
