package api

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"gabion/userspace/source"
)

// keyBytes is the size of the API key before encoding.
const keyBytes = 32

// Key returns the key in the first of the files that has one. Without any it makes a key and
// keeps it in the first file that can be written: the state directory may be read-only, and the
// CLI must get in all the same. The key is readable by its owner only.
func Key(files ...string) (string, error) {
	var errs []error
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			continue
		}
		if key := strings.TrimSpace(string(data)); key != "" {
			return key, nil
		}
	}
	raw := make([]byte, keyBytes)
	_, _ = rand.Read(raw) // never fails: the runtime stops the program instead
	key := base64.RawURLEncoding.EncodeToString(raw)
	for _, f := range files {
		err := source.WriteState(f, []byte(key+"\n"), true)
		if err == nil {
			return key, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("keep API key: %w", errors.Join(errs...))
}
