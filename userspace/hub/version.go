package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"strings"
)

// Places of the index that a hub publishes: in a checkout, and where items are installed.
const (
	indexFile     = ".index.json"
	installedFile = "hub/.index.json"
)

// maxIndex bounds the size of the index, in bytes.
const maxIndex = 64 << 20

// changed is the version of a file that the index does not have.
const changed = "?"

// published tells what alerts show of the file that a rule is from: its hash, and the version that
// has this hash in the hub's index. Both are empty for a file that is from no hub.
func (h *Hub) published(path string, text []byte) (hash, version string) {
	if !h.authored[path] {
		return "", ""
	}
	sum := sha256.Sum256(text)
	hash = hex.EncodeToString(sum[:])
	if v, ok := h.versions()[hash]; ok {
		return hash, v
	}
	return hash, changed
}

// readVersions reads the versions of all scenarios by the hashes of their files. Without a readable
// index there are none: rules work without.
func readVersions(fsys fs.FS) map[string]string {
	var index struct {
		Scenarios map[string]struct {
			Versions map[string]struct {
				Digest string `json:"digest"`
			} `json:"versions"`
		} `json:"scenarios"`
	}
	for _, name := range []string{indexFile, installedFile} {
		f, err := fsys.Open(name)
		if err != nil {
			continue
		}
		err = json.NewDecoder(io.LimitReader(f, maxIndex)).Decode(&index)
		if f.Close() == nil && err == nil {
			break
		}
	}
	out := map[string]string{}
	for _, item := range index.Scenarios {
		for version, v := range item.Versions {
			out[strings.ToLower(v.Digest)] = version
		}
	}
	return out
}
