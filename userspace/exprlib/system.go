package exprlib

import (
	"strconv"
	"strings"
	"time"

	"gabion/userspace/expr"
)

func (l *Lib) timeFunctions() []expr.Function {
	return []expr.Function{
		{Name: "TimeNow", Types: []any{new(func() string)}, Call: func(...any) (any, error) {
			return l.deps.Now().UTC().Format(time.RFC3339), nil
		}},
		{Name: "Hostname", Types: []any{new(func() string)}, Call: func(...any) (any, error) { return l.hostname, nil }},
		sure1("ParseUnix", parseUnix),
	}
}

// parseUnix turns seconds since 1970, with or without a fraction, into RFC 3339 text in UTC.
func parseUnix(s string) string {
	whole, _, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds <= 0 {
		return ""
	}
	t := time.Unix(seconds, 0).UTC()
	if t.Year() > 9999 {
		return ""
	}
	return t.Format(time.RFC3339)
}

func (l *Lib) logFunctions() []expr.Function {
	return []expr.Function{{Name: "LogInfo", Types: []any{new(func(string, ...any) bool)}, Call: func(args ...any) (any, error) {
		text, err := callSprintf(args...)
		if err != nil {
			return nil, err
		}
		l.deps.Log.Info("rule says", "text", text)
		return true, nil
	}}}
}
