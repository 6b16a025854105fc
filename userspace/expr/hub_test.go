package expr_test

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

// hubExpression is an expression of the hub's rules.
type hubExpression struct {
	text  string
	env   expr.Env
	want  expr.Kind
	count int // how often it occurs
}

// hubExpressions returns the expressions of all parsers, scenarios, post-overflow rules and contexts below a
// directory, each once.
func hubExpressions(t *testing.T, dir string) (out []hubExpression) {
	t.Helper()
	hub := os.DirFS(dir)
	add := func(text string, env expr.Env, want expr.Kind) {
		i := slices.IndexFunc(out, func(e hubExpression) bool { return e.text == text && e.env == env && e.want == want })
		if i < 0 {
			out = append(out, hubExpression{text, env, want, 1})
			return
		}
		out[i].count++
	}
	for _, kind := range []string{"parsers", "scenarios", "postoverflows", "contexts"} {
		err := fs.WalkDir(hub, kind, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".yaml") && !strings.HasSuffix(path, ".yml") {
				return err
			}
			data, err := fs.ReadFile(hub, path)
			if err != nil {
				return err
			}
			docs, err := yamlpos.Parse(path, data)
			if err != nil {
				return err
			}
			for _, doc := range docs {
				var m map[string]any
				if err := doc.Decode(&m); err != nil {
					return err
				}
				collect("", m, add)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// collect finds the expressions below a key of a rule.
func collect(parent string, x any, add func(string, expr.Env, expr.Kind)) {
	switch x := x.(type) {
	case map[string]any:
		for key, x := range x {
			if key == "labels" || key == "pattern_syntax" || key == "data" {
				continue
			}
			collectKey(parent, key, x, add)
			collect(key, x, add)
		}
	case []any:
		for _, x := range x {
			collect(parent, x, add)
		}
	}
}

func collectKey(parent, key string, x any, add func(string, expr.Env, expr.Kind)) {
	if list, ok := x.([]any); ok && parent == "context" {
		for _, x := range list {
			add(fmt.Sprint(x), expr.EnvContext, expr.Any)
		}
	}
	if list, ok := x.([]any); ok && key == "expression" { // of a whitelist
		for _, x := range list {
			add(fmt.Sprint(x), expr.EnvEvent, expr.Bool)
		}
	}
	text, ok := x.(string)
	if b, is := x.(bool); is {
		text, ok = fmt.Sprint(b), true
	}
	switch {
	case !ok:
	case key == "filter" || key == "cancel_on":
		add(text, expr.EnvEvent, expr.Bool)
	case key == "condition":
		add(text, expr.EnvQueue, expr.Bool)
	case key == "overflow_filter":
		add(text, expr.EnvOverflow, expr.Bool)
	case key == "groupby" || key == "distinct" || parent == "scope" && key == "expression" || parent == "stash" && (key == "key" || key == "value"):
		add(text, expr.EnvEvent, expr.String)
	case key == "expression":
		add(text, expr.EnvEvent, expr.Any)
	}
}
