package yamlpos

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// resolveAlias returns the node an alias stands for.
func resolveAlias(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// isPlain reports whether a scalar is written without quotes, so that its type follows from its text.
func isPlain(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
}

func isNull(n *yaml.Node) bool {
	n = resolveAlias(n)
	if n.Kind != yaml.ScalarNode || !isPlain(n) {
		return false
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// parseBool reads a YAML 1.1 boolean. The single letters y and n stay text.
func parseBool(s string) (value, ok bool) {
	if s == "" || s != strings.ToLower(s) && s != strings.ToUpper(s) && s != strings.ToUpper(s[:1])+strings.ToLower(s[1:]) {
		return false, false
	}
	switch strings.ToLower(s) {
	case "yes", "on", "true":
		return true, true
	case "no", "off", "false":
		return false, true
	}
	return false, false
}

// parseInt reads a YAML 1.1 integer: 0x, 0b, 0o and leading zero as in Go, underscores ignored.
func parseInt(s string) (int64, bool) {
	v, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 0, 64)
	return v, err == nil && s[0] != '_'
}

func parseUint(s string) (uint64, bool) {
	v, err := strconv.ParseUint(strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "+"), 0, 64)
	return v, err == nil && s[0] != '_'
}

// parseFloat reads a YAML 1.1 floating point number.
func parseFloat(s string) (float64, bool) {
	switch strings.ToLower(s) {
	case ".inf", "+.inf":
		return math.Inf(1), true
	case "-.inf":
		return math.Inf(-1), true
	case ".nan":
		return math.NaN(), true
	}
	if s == "" || !strings.ContainsRune("0123456789.+-", rune(s[0])) || strings.ContainsAny(s, "xXpPiInN") {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return v, err == nil
}

// scalarValue returns the value of a scalar where no type is asked for: nil, bool, int, float64 or
// string. Dates stay text.
func scalarValue(n *yaml.Node) any {
	if !isPlain(n) {
		return n.Value
	}
	if isNull(n) {
		return nil
	}
	if b, ok := parseBool(n.Value); ok {
		return b
	}
	if i, ok := parseInt(n.Value); ok && i >= math.MinInt && i <= math.MaxInt {
		return int(i)
	}
	if f, ok := parseFloat(n.Value); ok {
		return f
	}
	return n.Value
}
