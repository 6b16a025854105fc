// Package ruledoc holds the keys that parsers, post-overflow rules and scenarios have in common.
package ruledoc

import (
	"fmt"
	"strconv"

	"gabion/userspace/yamlpos"
)

// Format is the key format: the version of the rule language. Decoding refuses the versions that
// are not read here.
type Format struct{}

// DecodeText implements yamlpos.TextDecoder.
func (*Format) DecodeText(t yamlpos.Text) error {
	if f, err := strconv.ParseFloat(t.Text, 64); err != nil || !(f >= 1 && f <= 3) {
		return fmt.Errorf("format %q is not supported: want 1.0 to 3.0", t.Text)
	}
	return nil
}

// DataFile is one entry of the key data: a file that expressions look things up in, or one that is
// only to be downloaded when it has no type.
type DataFile struct {
	At        yamlpos.Mapping  `yaml:",mapping"`
	SourceURL string           `yaml:"source_url"`
	DestFile  string           `yaml:"dest_file"`
	Type      string           `yaml:"type"`
	Cache     *bool            `yaml:"cache"`
	Strategy  string           `yaml:"strategy"`
	Size      int              `yaml:"size"`
	TTL       yamlpos.Duration `yaml:"ttl"`
}
