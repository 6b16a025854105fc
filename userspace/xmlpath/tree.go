package xmlpath

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a document.
const (
	maxXMLBytes    = 1 << 20
	maxXMLElements = 20_000
	maxXMLDepth    = 64
)

// Element is one element of an XML document.
type Element struct {
	space, tag string // namespace prefix as written, and local name
	attrs      []xml.Attr
	text       string // what is written before the first child
	parent     *Element
	children   []*Element
}

// parseXML reads a document and returns an element that holds its root.
func parseXML(text string) (*Element, error) {
	if len(text) > maxXMLBytes {
		return nil, fmt.Errorf("XML is longer than %d bytes", maxXMLBytes)
	}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	doc := &Element{}
	at, depth, count := doc, 0, 0
	var chars []byte // of the element at hand, until its first child
	for {
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			if at != doc {
				return nil, fmt.Errorf("element %s is not closed", at.tag)
			}
			return doc, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read XML: %w", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth, count = depth+1, count+1; depth > maxXMLDepth || count > maxXMLElements {
				return nil, errors.New("XML has too many elements")
			}
			if len(at.children) == 0 {
				at.text, chars = string(chars), chars[:0]
			}
			child := &Element{space: token.Name.Space, tag: token.Name.Local, attrs: token.Attr, parent: at}
			at.children = append(at.children, child)
			at = child
		case xml.EndElement:
			if at == doc || at.space != token.Name.Space || at.tag != token.Name.Local {
				return nil, fmt.Errorf("element %s is closed but not open", token.Name.Local)
			}
			if len(at.children) == 0 {
				at.text, chars = string(chars), chars[:0]
			}
			at, depth = at.parent, depth-1
		case xml.CharData:
			if len(at.children) == 0 {
				chars = append(chars, token...)
			}
		}
	}
}

// Text returns what is written before the first child.
func (e *Element) Text() string { return e.text }

// named reports whether the element has a name. One without a prefix stands for any.
func (e *Element) named(n name) bool {
	if n.prefixed {
		return e.space == n.space && e.tag == n.local
	}
	return e.tag == n.local || n.local == "*"
}

// Attr returns the value of an attribute, written with or without a namespace prefix.
func (e *Element) Attr(name string) (string, bool) { return e.attr(newName(name)) }

func (e *Element) attr(n name) (string, bool) {
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.Name.Local == n.local && (n.space == "" || a.Name.Space == n.space) {
			return a.Value, true
		}
	}
	return "", false
}

// descend appends the element and everything below it.
func (e *Element) descend(out []*Element) []*Element {
	out = append(out, e)
	for _, c := range e.children {
		out = c.descend(out)
	}
	return out
}
