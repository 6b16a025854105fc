package grok

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

//go:embed patterns/*.grok
var patternFiles embed.FS

// stock returns the embedded patterns by name. The tests compile every one of them, so a mistake
// in the files cannot reach a user.
var stock = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	names, err := fs.Glob(patternFiles, "patterns/*.grok")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		text, err := patternFiles.ReadFile(name)
		if err != nil {
			panic(err)
		}
		if err := readPatterns(out, string(text)); err != nil {
			panic(fmt.Sprintf("%s: %v", name, err))
		}
	}
	return out
})

// readPatterns adds the lines "NAME pattern" of text to out. Empty lines and lines that begin with
// # are left out.
func readPatterns(out map[string]string, text string) error {
	for n, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name, pattern, ok := strings.Cut(line, " ")
		if !ok || pattern == "" || !nameOnly().MatchString(name) {
			return fmt.Errorf("line %d: want a name, a space and a pattern", n+1)
		}
		if _, dup := out[name]; dup {
			return fmt.Errorf("line %d: %s: %w", n+1, name, ErrDefined)
		}
		out[name] = pattern
	}
	return nil
}
