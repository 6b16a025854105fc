package exprlib

import (
	"errors"
	"fmt"
	"strings"

	"gabion/userspace/expr"
)

var errTooLong = errors.New("result is longer than 16 MiB")

func stringFunctions() []expr.Function {
	upper, lower := &cases{change: strings.ToUpper}, &cases{change: strings.ToLower}
	return []expr.Function{
		sure1("Upper", upper.of),
		sure1("Lower", lower.of),
		sure1("TrimSpace", strings.TrimSpace),
		sure2("Trim", strings.Trim),
		sure2("TrimLeft", strings.TrimLeft),
		sure2("TrimRight", strings.TrimRight),
		sure2("TrimPrefix", strings.TrimPrefix),
		sure2("TrimSuffix", strings.TrimSuffix),
		sure2("Split", strings.Split),
		sure3("SplitN", strings.SplitN),
		sure2("SplitAfter", strings.SplitAfter),
		sure3("SplitAfterN", strings.SplitAfterN),
		sure1("Fields", strings.Fields),
		bind2("Join", join),
		sure2("Index", strings.Index),
		sure2("IndexAny", strings.IndexAny),
		bind3("ReplaceAll", func(s, old, with string) (string, error) { return replace(s, old, with, -1) }),
		{Name: "Replace", Types: []any{new(func(string, string, string, int) string)}, Call: callReplace},
		sure2("Match", match),
		bind2("Get", get),
		sure1("ToString", toString),
		{Name: "Sprintf", Types: []any{new(func(string, ...any) string)}, Call: callSprintf},
	}
}

func join(list []string, sep string) (string, error) {
	total := len(sep) * len(list)
	for _, s := range list {
		if total += len(s); total > maxText {
			return "", errTooLong
		}
	}
	return strings.Join(list, sep), nil
}

func callReplace(args ...any) (any, error) {
	s, err := texts(args[:3], 0)
	if err != nil {
		return nil, err
	}
	n, err := arg[int](args, 3)
	if err != nil {
		return nil, err
	}
	return result(replace(s[0], s[1], s[2], n))
}

func replace(s, old, with string, n int) (string, error) {
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	if grow := len(with) - len(old); grow > 0 && count > (maxText-min(len(s), maxText))/grow {
		return "", errTooLong
	}
	return strings.Replace(s, old, with, n), nil
}

// get returns an element of a list, or "" behind its end.
func get(list []string, i int) (string, error) {
	switch {
	case i < 0:
		return "", fmt.Errorf("index %d is negative", i)
	case i >= len(list):
		return "", nil
	}
	return list[i], nil
}

func toString(v any) string {
	s, _ := v.(string)
	return s
}

// match compares text with a glob: * stands for any bytes, ? for one. The pattern covers all of
// the text. Each part between stars is searched once, from left to right, so there is nothing to
// go back to.
func match(pattern, s string) bool {
	star := strings.IndexByte(pattern, '*')
	if star < 0 {
		return len(s) == len(pattern) && hasPrefix(s, pattern)
	}
	first, rest := pattern[:star], pattern[star+1:]
	last := rest[strings.LastIndexByte(rest, '*')+1:]
	if len(s) < len(first)+len(last) || !hasPrefix(s, first) || !hasPrefix(s[len(s)-len(last):], last) {
		return false
	}
	s, rest = s[len(first):len(s)-len(last)], rest[:len(rest)-len(last)]
	for rest != "" {
		part, after, _ := strings.Cut(rest, "*")
		i := find(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], after
	}
	return true
}

// hasPrefix is strings.HasPrefix where ? stands for any byte.
func hasPrefix(s, pattern string) bool {
	if len(s) < len(pattern) {
		return false
	}
	for i := range len(pattern) {
		if pattern[i] != '?' && pattern[i] != s[i] {
			return false
		}
	}
	return true
}

func find(s, pattern string) int {
	if strings.IndexByte(pattern, '?') < 0 {
		return strings.Index(s, pattern)
	}
	for i := 0; i+len(pattern) <= len(s); i++ {
		if hasPrefix(s[i:], pattern) {
			return i
		}
	}
	return -1
}

func callSprintf(args ...any) (any, error) {
	format, err := arg[string](args, 0)
	if err != nil {
		return nil, err
	}
	return result(sprintf(format, args[1:]...))
}

// sprintf formats within bounds: a short format, widths below 1000, every argument used once.
func sprintf(format string, args ...any) (string, error) {
	const longest, widest = 4096, 3
	if len(format) > longest {
		return "", fmt.Errorf("format is longer than %d bytes", longest)
	}
	for rest := format; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		flags := len(rest) - len(strings.TrimLeft(rest, "+-# 0123456789.*["))
		if strings.ContainsAny(rest[:flags], "*[") {
			return "", errors.New("format takes no * and no [index]")
		}
		for _, digits := range strings.FieldsFunc(rest[:flags], func(r rune) bool { return r < '0' || r > '9' }) {
			if len(strings.TrimLeft(digits, "0")) > widest {
				return "", errors.New("width in format is above 999")
			}
		}
		rest = strings.TrimPrefix(rest[flags:], "%")
	}
	return fmt.Sprintf(format, args...), nil
}
