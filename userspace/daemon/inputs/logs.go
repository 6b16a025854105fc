package inputs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gabion/userspace/config"
	"gabion/userspace/yamlpos"
)

// LogFiles is what a source's path or pattern names now.
type LogFiles struct {
	Pattern string
	Count   int
	Err     error // why nothing, or not all of it, can be read
}

// ErrNoLog says that there is no such file, or none yet.
var ErrNoLog = errors.New("no such file: it is read as soon as it appears; if it never will, take it out of the configuration")

// Logs looks at the log files that the sources of a configuration name.
func Logs(cfg *config.Config) ([]LogFiles, error) {
	docs, err := Docs(cfg)
	if err != nil {
		return nil, err
	}
	var out []LogFiles
	for _, doc := range docs {
		for _, p := range patterns(doc) {
			out = append(out, look(p))
		}
	}
	return out, nil
}

// patterns returns the paths of a source, none for sources that are no files.
func patterns(doc *yamlpos.Document) []string {
	var keys map[string]any
	if doc.Decode(&keys) != nil {
		return nil // refused when the source is made
	}
	list, _ := keys["filenames"].([]any)
	var out []string
	for _, v := range append(list, keys["filename"]) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func look(pattern string) LogFiles {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return LogFiles{Pattern: pattern, Err: ErrNoLog}
	}
	l := LogFiles{Pattern: pattern, Count: len(files)}
	var bad []error
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		_ = f.Close()
	}
	if len(bad) > 0 {
		l.Err = fmt.Errorf("%w: let the user that runs gabion read it (root, or the group adm)", errors.Join(bad...))
	}
	return l
}
