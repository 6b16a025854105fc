// Package jsontext reads JSON that attackers write: whole, or one value by its path.
//
// Both take time linear in the text, and go no deeper than the standard library does.
package jsontext

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds how deep arrays and objects lie in each other.
const maxJSONDepth = 10_000

var errDeepJSON = errors.New("arrays and objects lie too deep in each other")

// Decode reads a JSON text into what encoding/json makes of it: map[string]any, []any, string,
// float64, bool and nil. Texts without escapes are parts of one copy of the whole.
func Decode(text string) (any, error) {
	d := decoder{text: strings.Clone(text)}
	d.skipBlank()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if d.skipBlank(); d.i < len(d.text) {
		return nil, d.unexpected("the end")
	}
	return v, nil
}

// decoder stands at a byte of the text.
type decoder struct {
	text string
	i    int
}

// unexpected is the error that something else should be here.
func (d *decoder) unexpected(want string) error {
	if d.i >= len(d.text) {
		return fmt.Errorf("text ends where %s should be", want)
	}
	return fmt.Errorf("byte %d is %q where %s should be", d.i, d.text[d.i], want)
}

func (d *decoder) skipBlank() { d.i = skipBlank(d.text, d.i) }

// take moves behind a byte, when it is there.
func (d *decoder) take(c byte) bool {
	if d.i < len(d.text) && d.text[d.i] == c {
		d.i++
		return true
	}
	return false
}

func (d *decoder) value(depth int) (any, error) {
	if d.i >= len(d.text) {
		return nil, d.unexpected("a value")
	}
	switch c := d.text[d.i]; c {
	case '{':
		return d.object(depth + 1)
	case '[':
		return d.array(depth + 1)
	case '"':
		return d.string()
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	case 'n':
		return nil, d.word("null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return d.number()
		}
	}
	return nil, d.unexpected("a value")
}

func (d *decoder) word(w string) error {
	if !strings.HasPrefix(d.text[d.i:], w) {
		return d.unexpected(w)
	}
	d.i += len(w)
	return nil
}

func (d *decoder) object(depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errDeepJSON
	}
	d.i++
	out := map[string]any{}
	if d.skipBlank(); d.take('}') {
		return out, nil
	}
	for {
		if d.i >= len(d.text) || d.text[d.i] != '"' {
			return nil, d.unexpected("a key")
		}
		key, err := d.string()
		if err != nil {
			return nil, err
		}
		if d.skipBlank(); !d.take(':') {
			return nil, d.unexpected("a colon")
		}
		d.skipBlank()
		if out[key], err = d.value(depth); err != nil {
			return nil, err
		}
		d.skipBlank()
		switch {
		case d.take('}'):
			return out, nil
		case !d.take(','):
			return nil, d.unexpected("a comma")
		}
		d.skipBlank()
	}
}

func (d *decoder) array(depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errDeepJSON
	}
	d.i++
	out := []any{}
	if d.skipBlank(); d.take(']') {
		return out, nil
	}
	for {
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		d.skipBlank()
		switch {
		case d.take(']'):
			return out, nil
		case !d.take(','):
			return nil, d.unexpected("a comma")
		}
		d.skipBlank()
	}
}

// number reads what JSON allows: no leading zero, figures on both sides of the point and in the
// exponent.
func (d *decoder) number() (any, error) {
	start := d.i
	d.take('-')
	if !d.take('0') && !d.figures() {
		return nil, d.unexpected("a figure")
	}
	if d.take('.') && !d.figures() {
		return nil, d.unexpected("a figure")
	}
	if d.take('e') || d.take('E') {
		_ = d.take('+') || d.take('-')
		if !d.figures() {
			return nil, d.unexpected("a figure")
		}
	}
	f, err := strconv.ParseFloat(d.text[start:d.i], 64)
	if err != nil {
		return nil, fmt.Errorf("number %.40s is too large", d.text[start:d.i])
	}
	return f, nil
}

// figures moves behind figures, of which there must be one.
func (d *decoder) figures() bool {
	start := d.i
	for d.i < len(d.text) && '0' <= d.text[d.i] && d.text[d.i] <= '9' {
		d.i++
	}
	return d.i > start
}

func (d *decoder) string() (string, error) {
	start := d.i + 1
	for d.i = start; d.i < len(d.text); d.i++ {
		switch c := d.text[d.i]; {
		case c == '"':
			d.i++
			return d.text[start : d.i-1], nil
		case c == '\\' || c >= utf8.RuneSelf:
			return d.escaped(start)
		case c < ' ':
			return "", d.unexpected("a printable character")
		}
	}
	return "", d.unexpected("a quote")
}

// escaped reads a text from its first escape or character outside ASCII on. Bytes that are no UTF-8
// become the replacement character.
func (d *decoder) escaped(start int) (string, error) {
	out := append(make([]byte, 0, d.i-start+64), d.text[start:d.i]...)
	changed := false
	for d.i < len(d.text) {
		c := d.text[d.i]
		switch {
		case c == '"':
			d.i++
			if !changed {
				return d.text[start : d.i-1], nil
			}
			return string(out), nil
		case c < ' ':
			return "", d.unexpected("a printable character")
		case c == '\\':
			r, err := d.escape()
			if err != nil {
				return "", err
			}
			out, changed = utf8.AppendRune(out, r), true
		default:
			r, size := utf8.DecodeRuneInString(d.text[d.i:])
			changed = changed || r == utf8.RuneError && size == 1
			out = utf8.AppendRune(out, r)
			d.i += size
		}
	}
	return "", d.unexpected("a quote")
}

// escape reads one escape, or two that stand for one character.
func (d *decoder) escape() (rune, error) {
	d.i++
	if d.i >= len(d.text) {
		return 0, d.unexpected("an escaped character")
	}
	c := d.text[d.i]
	if c == 'u' {
		r := hexRune(d.text[d.i+1:])
		if r < 0 {
			return 0, d.unexpected("an escape of four hexadecimal figures")
		}
		d.i += 5
		if !utf16.IsSurrogate(r) {
			return r, nil
		}
		if strings.HasPrefix(d.text[d.i:], `\u`) {
			if pair := utf16.DecodeRune(r, hexRune(d.text[d.i+2:])); pair != utf8.RuneError {
				d.i += 6
				return pair, nil
			}
		}
		return utf8.RuneError, nil
	}
	at := strings.IndexByte(`"\/bfnrt`, c)
	if at < 0 {
		return 0, d.unexpected("an escaped character")
	}
	d.i++
	return rune("\"\\/\b\f\n\r\t"[at]), nil
}

// hexRune reads four hexadecimal figures, or returns -1.
func hexRune(s string) rune {
	if len(s) < 4 {
		return -1
	}
	r, err := strconv.ParseUint(s[:4], 16, 16)
	if err != nil {
		return -1
	}
	return rune(r)
}
