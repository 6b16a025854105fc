package statefile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"gabion/userspace/statefile"
)

func TestAFileIsReplacedWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, wrote := io.WriteString(w, text)
			return errors.Join(wrote, err)
		}
	}
	full := errors.New("disk full")
	for _, step := range []struct {
		text string
		err  error
		want string
	}{{"one", nil, "one"}, {"tw", full, "one"}, {"three", nil, "three"}} {
		if err := statefile.Replace(path, write(step.text, step.err)); !errors.Is(err, step.err) {
			t.Errorf("writing %q: error %v, want %v", step.text, err, step.err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != step.want {
			t.Errorf("after %q the file has %q, %v, want %q", step.text, got, err, step.want)
		}
	}
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("the directory has %v, %v", names, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
}
