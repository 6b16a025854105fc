package exprlib

import (
	"encoding/json"
	"fmt"
	"strings"

	"gabion/userspace/expr"
	"gabion/userspace/jsontext"
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
	keys := jsontext.SplitPath(path)
	return func(blob string) string { return jsontext.Extract(blob, keys).Text() }
}

// callExtractLib is JsonExtract with the path as separate keys, so that keys may contain dots.
func callExtractLib(args ...any) (any, error) {
	s, err := texts(args, 0)
	if err != nil {
		return nil, err
	}
	return jsontext.Extract(s[0], s[1:]).Text(), nil
}

func callExtractUnescape(args ...any) (any, error) {
	s, err := texts(args, 0)
	if err != nil {
		return nil, err
	}
	var path []string
	for _, p := range s[1:] {
		path = append(path, jsontext.SplitPath(p)...)
	}
	raw := jsontext.Extract(s[0], path)
	var out string
	if !strings.HasPrefix(string(raw), `"`) || json.Unmarshal([]byte(raw), &out) != nil {
		return "", nil
	}
	return out, nil
}

func extractAs[T any](blob, path string) T {
	v, err := jsontext.Decode(string(jsontext.Extract(blob, jsontext.SplitPath(path))))
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
	v, err := jsontext.Decode(text)
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
