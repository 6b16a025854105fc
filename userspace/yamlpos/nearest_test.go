package yamlpos_test

import (
	"slices"
	"strings"
	"testing"

	"gabion/userspace/yamlpos"
)

func TestNearest(t *testing.T) {
	keys := []string{"filter", "filename", "type", "ttl", "journalctl", "IPORHOST", "name", "same"}
	for _, tt := range []struct{ name, word, want string }{
		{"a letter is missing", "filtr", "filter"},
		{"neighbours are swapped", "fitler", "filter"},
		{"case does not count", "iporhost", "IPORHOST"},
		{"a short word may differ by one letter", "typo", "type"},
		{"a short word that differs by two is another", "tapo", ""},
		{"the end of a long word is another", "journald", "journalctl"},
		{"the first of equals", "lame", "name"},
		{"nothing is near", "kinesis", ""},
		{"text that is no name", strings.Repeat("x", 1<<20), ""},
		{"no word", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := yamlpos.Nearest(tt.word, slices.Values(keys)); got != tt.want {
				t.Errorf("Nearest(%.20q) = %q, want %q", tt.word, got, tt.want)
			}
		})
	}
}
