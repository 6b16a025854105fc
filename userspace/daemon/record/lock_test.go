package record

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestADirectoryBelongsToOneAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock = %v", err)
	}
	unlock()
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("lock after unlock = %v", err)
	}
	again()
}

func TestADirectoryThatCannotBeMadeIsNotLocked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := Lock(filepath.Join(file, "state"))
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
