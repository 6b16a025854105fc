package daemon

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keyBytes is the size of the API key before encoding.
const keyBytes = 32

// apiKey returns the key in the first of the files that has one. Without any it makes a key and
// keeps it in the first file that can be written: the state directory may be read-only, and the
// CLI must get in all the same.
func apiKey(files ...string) (string, error) {
	for _, f := range files {
		data, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read API key: %w", err)
		}
		if key := strings.TrimSpace(string(data)); key != "" {
			return key, nil
		}
	}
	raw := make([]byte, keyBytes)
	_, _ = rand.Read(raw) // never fails: the runtime stops the program instead
	key := base64.RawURLEncoding.EncodeToString(raw)
	var errs []error
	for _, f := range files {
		err := writeKey(f, key)
		if err == nil {
			return key, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("keep API key: %w", errors.Join(errs...))
}

// writeKey makes the file whole or not at all, readable by its owner only.
func writeKey(path, key string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".api.key-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(key + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
