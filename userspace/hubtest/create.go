package hubtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// NewTest is a test to be made.
type NewTest struct {
	Name          string
	Log           io.Reader
	Type          string // label type of the lines
	Labels        map[string]string
	Parsers       []string
	Scenarios     []string
	PostOverflows []string
	IgnoreParsers bool // no parser.assert
}

// maxLog bounds the log of a new test, in bytes.
const maxLog = 64 << 20

// Create makes the folder of a test with a copy of the log, runs it and writes assertions for what
// comes out. It leaves nothing behind when the test cannot be run. Options say where the hub and
// its data are.
func Create(ctx context.Context, o Options, n NewTest) (result Result, err error) {
	switch {
	case n.Name != filepath.Base(n.Name) || !filepath.IsLocal(n.Name):
		return result, fmt.Errorf("%q is no name for a test: it becomes a folder's", n.Name)
	case len(n.Parsers) == 0:
		return result, errors.New("a test needs parsers to run its log through")
	}
	dir := filepath.Join(o.Root, Dir, n.Name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return result, fmt.Errorf("create test: %w", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return result, fmt.Errorf("create test: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	log, err := io.ReadAll(io.LimitReader(n.Log, maxLog+1))
	switch {
	case err != nil:
		return result, fmt.Errorf("read log: %w", err)
	case len(log) > maxLog:
		return result, fmt.Errorf("the log is larger than %d MiB: a test is a few lines", maxLog>>20)
	}
	for name, data := range map[string][]byte{n.Name + ".log": log, configFile: n.config()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return result, fmt.Errorf("create test: %w", err)
		}
	}
	o.Tests, o.Update = []string{n.Name}, true
	o.Progress = func(r Result) { result = r }
	if _, err := Run(ctx, o); err != nil {
		return result, err
	}
	if result.Outcome != Passed {
		return result, fmt.Errorf("run the new test: %s", result.Reason)
	}
	return result, nil
}

// config writes the test's configuration, with the keys that tests of a hub have.
func (n *NewTest) config() []byte {
	var b bytes.Buffer
	list := func(key string, items []string) {
		if len(items) == 0 {
			items = []string{""} // as in every test without
		}
		fmt.Fprintf(&b, "%s:\n", key)
		for _, item := range items {
			fmt.Fprintf(&b, "- %q\n", item)
		}
	}
	list("parsers", n.Parsers)
	list("scenarios", n.Scenarios)
	list("postoverflows", n.PostOverflows)
	fmt.Fprintf(&b, "log_file: %q\nlog_type: %q\nlabels: {", n.Name+".log", n.Type)
	for i, key := range sortedKeys(n.Labels) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q: %q", key, n.Labels[key])
	}
	fmt.Fprintf(&b, "}\nignore_parsers: %t\noverride_statics: []\n", n.IgnoreParsers)
	return b.Bytes()
}
