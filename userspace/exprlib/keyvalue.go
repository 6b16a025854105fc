package exprlib

import (
	"errors"
	"fmt"
	"strings"

	"gabion/userspace/expr"
	"gabion/userspace/jsontext"
)

// pairsExpected bounds the room that is made for pairs beforehand.
const pairsExpected = 64

var errNoPair = errors.New("no key=value pair found")

// storingFunctions are the helpers that change a map of the event.
func storingFunctions() []expr.Function {
	return []expr.Function{
		bind3("UnmarshalJSON", unmarshalJSON),
		bind3("ParseKV", storePairs(parseKV)),
		bind3("ParseKVLax", storePairs(parseKVLax)),
	}
}

// storePairs makes a helper that merges the pairs of a text into the map under target[key].
func storePairs(parse func(string, map[string]string)) func(string, map[string]any, string) (any, error) {
	return func(text string, target map[string]any, key string) (any, error) {
		var old map[string]string
		switch value := target[key].(type) {
		case nil:
		case map[string]string:
			old = value
		default:
			return nil, fmt.Errorf("cannot store pairs under %q: it holds a %T", key, value)
		}
		pairs := make(map[string]string, len(old)+min(strings.Count(text, "="), pairsExpected))
		parse(strings.Clone(text), pairs) // a bucket may keep the pairs for longer than the line
		if len(pairs) == 0 {
			return nil, errNoPair
		}
		for k, v := range old {
			if _, again := pairs[k]; !again {
				pairs[k] = v
			}
		}
		return nil, store(target, key, pairs)
	}
}

// parseKV reads key=value pairs: a value is quoted text or goes up to the next blank or =. Text
// that fits nowhere is skipped.
func parseKV(s string, out map[string]string) {
	for i := 0; i < len(s); {
		start := i
		i = wordEnd(s, i)
		if i == start {
			i++
			continue
		}
		if i >= len(s) || s[i] != '=' {
			continue
		}
		key := s[start:i]
		i++
		if end := quotedEnd(s, i); end > 0 {
			out[key] = s[i+1 : end-1]
			i = end
			continue
		}
		end := wordEnd(s, i)
		out[key] = s[i:end]
		i = end
	}
}

func wordEnd(s string, i int) int {
	for i < len(s) && s[i] != '=' && !isBlank(s[i]) {
		i++
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r' }

// quotedEnd returns the end of the double-quoted text that begins at i, or 0 when there is none.
func quotedEnd(s string, i int) int {
	if i >= len(s) || s[i] != '"' {
		return 0
	}
	return max(jsontext.StringEnd(s, i), 0)
}

// parseKVLax reads pairs whose values may hold blanks without quotes: a value goes up to the next
// key. Keys are identifiers outside quotes.
func parseKVLax(s string, out map[string]string) {
	key, valueStart := "", 0
	quoted := false
	for i := 0; i < len(s); {
		if !isKeyStart(s[i]) {
			switch s[i] {
			case '\\':
				i++
			case '"':
				quoted = !quoted
			}
			i++
			continue
		}
		start := i
		for i < len(s) && isKeyByte(s[i]) {
			i++
		}
		if quoted || i >= len(s) || s[i] != '=' {
			continue
		}
		if key != "" {
			out[key] = laxValue(s[valueStart:start])
		}
		key = s[start:i]
		i++
		valueStart = i
	}
	if key != "" {
		out[key] = laxValue(s[valueStart:])
	}
}

func isKeyStart(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isKeyByte(c byte) bool {
	return isKeyStart(c) || '0' <= c && c <= '9' || c == '.' || c == '-'
}

func laxValue(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s[1 : len(s)-1])
	}
	return strings.TrimPrefix(s, `"`)
}
