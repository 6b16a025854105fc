package yamlpos

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Text is a scalar with its place in the file. Pos is where its first character is written: after
// the quote, on the first line of a block. Set is false when the value is absent or null.
type Text struct {
	Text string
	Pos  Position
	Set  bool

	origin *origin
}

// origin finds the characters of a scalar in the file it was read from.
type origin struct {
	src  *source
	node *yaml.Node
}

// Equal reports whether two texts have the same content and place.
func (t Text) Equal(u Text) bool { return t.Text == u.Text && t.Pos == u.Pos && t.Set == u.Set }

// String returns the content.
func (t Text) String() string { return t.Text }

// At returns the place in the file of the byte at offset in t.Text, which may be lines below Pos.
func (t Text) At(offset int) Position {
	if t.origin == nil {
		return t.Pos
	}
	return t.origin.at(offset)
}

// Errorf returns an error at the place of the byte at offset in t.Text.
func (t Text) Errorf(offset int, format string, args ...any) *Error {
	return t.At(offset).Errorf(format, args...)
}

func newText(src *source, n *yaml.Node) Text {
	o := &origin{src: src, node: n}
	return Text{Text: n.Value, Pos: o.at(0), Set: !isNull(n), origin: o}
}

// at walks the decoded value and the file side by side. White space may differ between them
// (folding, indentation), so only other characters are aligned; that is exact for those.
func (o *origin) at(offset int) Position {
	c := cursor{text: o.src.text, i: o.contentStart(), style: o.node.Style}
	if c.i >= len(c.text) {
		return o.src.position(o.node.Line, o.node.Column)
	}
	value := o.node.Value
	for i, r := range value {
		c.align(r)
		if i >= offset {
			return o.src.position(o.src.locate(c.i))
		}
		c.advance(r)
	}
	return o.src.position(o.src.locate(min(c.i, len(c.text))))
}

// contentStart returns the offset of the first character of the scalar: behind anchor and tag,
// behind the opening quote, or on the line after a block indicator.
func (o *origin) contentStart() int {
	text, i := o.src.text, o.src.offset(o.node.Line, o.node.Column)
	for i < len(text) && (text[i] == '&' || text[i] == '!') {
		i += strings.IndexAny(text[i:]+" ", " \t\r\n")
		for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
			i++
		}
	}
	if i >= len(text) {
		return len(text)
	}
	switch o.node.Style &^ yaml.TaggedStyle {
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		return i + 1
	case yaml.LiteralStyle, yaml.FoldedStyle:
		for i < len(text) && breakLen(text[i:]) == 0 {
			i++
		}
		if i < len(text) {
			i += breakLen(text[i:])
		}
	}
	return i
}

// cursor is a place in the file while a scalar is followed through it.
type cursor struct {
	text  string
	i     int
	style yaml.Style
}

// align moves to where r is written.
func (c *cursor) align(r rune) {
	if isSpace(r) {
		return
	}
	for c.i < len(c.text) {
		n := breakLen(c.text[c.i:])
		switch {
		case n > 0:
			c.i += n
		case c.text[c.i] == ' ', c.text[c.i] == '\t':
			c.i++
		case c.doubleQuoted() && blankEscape(c.text[c.i:]):
			c.i++
			if breakLen(c.text[c.i:]) == 0 {
				c.i++
			}
		default:
			return
		}
	}
}

// advance moves behind r.
func (c *cursor) advance(r rune) {
	if c.i >= len(c.text) {
		return
	}
	if c.doubleQuoted() && c.text[c.i] == '\\' {
		c.i = min(c.i+escapeLen(c.text[c.i:]), len(c.text))
		return
	}
	if c.style&yaml.SingleQuotedStyle != 0 && r == '\'' {
		c.i += 2
		return
	}
	here, n := utf8.DecodeRuneInString(c.text[c.i:])
	if here == r {
		c.i += n
	}
}

func (c *cursor) doubleQuoted() bool { return c.style&yaml.DoubleQuotedStyle != 0 }

func isSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\r', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// blankEscape reports whether s begins with an escape sequence for white space or for nothing (an
// escaped line break).
func blankEscape(s string) bool {
	return len(s) > 1 && s[0] == '\\' && (strings.IndexByte(" \ttnrNLP", s[1]) >= 0 || breakLen(s[1:]) > 0)
}

// escapeLen returns the length of the escape sequence of a double-quoted scalar.
func escapeLen(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	_, n := utf8.DecodeRuneInString(s[1:])
	return 1 + n
}
