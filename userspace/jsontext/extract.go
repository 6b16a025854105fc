package jsontext

import (
	"encoding/json"
	"strconv"
	"strings"
)

// SplitPath splits a.b[1].c into keys and indexes: a, b, [1], c.
func SplitPath(path string) []string {
	if !strings.HasPrefix(path, "[") {
		path = strings.ReplaceAll(path, "[", ".[")
	}
	return strings.Split(path, ".")
}

// Raw is one JSON value as it is written, or "" when there is none.
type Raw string

// Text returns a string without its quotes, its escapes left as they are, and anything else as it
// is written.
func (r Raw) Text() string {
	if len(r) >= 2 && r[0] == '"' {
		return string(r[1 : len(r)-1])
	}
	return string(r)
}

// Extract finds a value by its path. It reads no further than the value, so that a line cut short
// still gives what it holds; it never goes back, so its time is linear in the text.
func Extract(blob string, path []string) Raw {
	s := scanner{blob, skipBlank(blob, 0)}
	for _, p := range path {
		if index, ok := arrayIndex(p); ok {
			if !s.enterElement(index) {
				return ""
			}
		} else if !s.enterKey(p) {
			return ""
		}
	}
	end := skipValue(blob, s.i)
	if end < 0 {
		return ""
	}
	return Raw(blob[s.i:end])
}

func arrayIndex(p string) (int, bool) {
	if len(p) < 3 || p[0] != '[' || p[len(p)-1] != ']' {
		return 0, false
	}
	i, err := strconv.Atoi(p[1 : len(p)-1])
	return i, err == nil && i >= 0
}

// scanner stands at the first byte of a value.
type scanner struct {
	text string
	i    int
}

// enterKey moves to the value of a key of the object at hand.
func (s *scanner) enterKey(key string) bool {
	if !s.open('{') {
		return false
	}
	for s.i < len(s.text) && s.text[s.i] == '"' {
		end := StringEnd(s.text, s.i)
		if end < 0 {
			return false
		}
		found := keyEqual(s.text[s.i:end], key)
		if s.i = skipBlank(s.text, end); !s.open(':') {
			return false
		}
		if found {
			return true
		}
		if !s.next() {
			return false
		}
	}
	return false
}

// enterElement moves to an element of the array at hand.
func (s *scanner) enterElement(index int) bool {
	if !s.open('[') || s.i < len(s.text) && s.text[s.i] == ']' {
		return false
	}
	for range index {
		if !s.next() {
			return false
		}
	}
	return true
}

// open moves behind a byte and blanks, when the byte is there.
func (s *scanner) open(c byte) bool {
	if s.i >= len(s.text) || s.text[s.i] != c {
		return false
	}
	s.i = skipBlank(s.text, s.i+1)
	return true
}

// next moves behind the value at hand and the comma after it.
func (s *scanner) next() bool {
	end := skipValue(s.text, s.i)
	if end < 0 {
		return false
	}
	s.i = skipBlank(s.text, end)
	return s.open(',')
}

// keyEqual compares a quoted key with a name.
func keyEqual(quoted, name string) bool {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1:len(quoted)-1] == name
	}
	var key string
	return json.Unmarshal([]byte(quoted), &key) == nil && key == name
}

func skipBlank(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || s[i] == '\n') {
		i++
	}
	return i
}

// StringEnd returns the end of the string that begins at i, or -1.
func StringEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipValue returns the end of the value that begins at i, or -1. Brackets are only counted.
func skipValue(s string, i int) int {
	if i >= len(s) {
		return -1
	}
	switch s[i] {
	case '"':
		return StringEnd(s, i)
	case '{', '[':
	default:
		end := i
		for end < len(s) && strings.IndexByte(" \t\r\n,]}:", s[end]) < 0 {
			end++
		}
		if !json.Valid([]byte(s[i:end])) {
			return -1
		}
		return end
	}
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			if i = StringEnd(s, i); i < 0 {
				return -1
			}
			continue
		}
		i++
	}
	return -1
}
