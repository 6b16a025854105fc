package exprlib

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"gabion/userspace/expr"
)

func jsonFunctions() []expr.Function {
	return []expr.Function{
		withLast(sure2("JsonExtract", func(blob, path string) string { return extractAt(path)(blob) }), extractAt),
		{Name: "JsonExtractLib", Types: []any{new(func(string, ...string) string)}, Call: callExtractLib},
		{Name: "JsonExtractUnescape", Types: []any{new(func(string, ...string) string)}, Call: callExtractUnescape},
		sure2("JsonExtractSlice", extractAs[[]any]),
		sure2("JsonExtractObject", extractAs[map[string]any]),
		sure1("ToJsonString", toJSON),
	}
}

func extractAt(path string) func(blob string) string {
	keys := splitPath(path)
	return func(blob string) string { return extract(blob, keys).text() }
}

// callExtractLib is JsonExtract with the path as separate keys, so that keys may contain dots.
func callExtractLib(args ...any) (any, error) {
	s, err := texts(args, 0)
	if err != nil {
		return nil, err
	}
	return extract(s[0], s[1:]).text(), nil
}

func callExtractUnescape(args ...any) (any, error) {
	s, err := texts(args, 0)
	if err != nil {
		return nil, err
	}
	var path []string
	for _, p := range s[1:] {
		path = append(path, splitPath(p)...)
	}
	raw := extract(s[0], path)
	var out string
	if !strings.HasPrefix(string(raw), `"`) || json.Unmarshal([]byte(raw), &out) != nil {
		return "", nil
	}
	return out, nil
}

func extractAs[T any](blob, path string) T {
	v, err := decodeJSON(string(extract(blob, splitPath(path))))
	if err != nil {
		var none T
		return none
	}
	out, _ := v.(T) // null and other types give none
	return out
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// unmarshalJSON decodes text into target[key].
func unmarshalJSON(text string, target map[string]any, key string) (any, error) {
	v, err := decodeJSON(text)
	if err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	return nil, store(target, key, v)
}

func store(target map[string]any, key string, v any) error {
	if target == nil {
		return fmt.Errorf("cannot store %q: the event holds no map there", key)
	}
	target[key] = v
	return nil
}

// splitPath splits a.b[1].c into keys and indexes: a, b, [1], c.
func splitPath(path string) []string {
	if !strings.HasPrefix(path, "[") {
		path = strings.ReplaceAll(path, "[", ".[")
	}
	return strings.Split(path, ".")
}

// rawJSON is one JSON value as it is written, or "" when there is none.
type rawJSON string

// text returns a string without its quotes, its escapes left as they are, and anything else as it
// is written.
func (r rawJSON) text() string {
	if len(r) >= 2 && r[0] == '"' {
		return string(r[1 : len(r)-1])
	}
	return string(r)
}

// extract finds a value by its path. It reads no further than the value, so that a line cut short
// still gives what it holds; it never goes back, so its time is linear in the text.
func extract(blob string, path []string) rawJSON {
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
	return rawJSON(blob[s.i:end])
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
		end := skipString(s.text, s.i)
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

// skipString returns the end of the string that begins at i, or -1.
func skipString(s string, i int) int {
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
		return skipString(s, i)
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
			if i = skipString(s, i); i < 0 {
				return -1
			}
			continue
		}
		i++
	}
	return -1
}
