package inputs

import (
	"os/exec"
	"path/filepath"

	"gabion/userspace/config"
	"gabion/userspace/yamlpos"
)

// Docs returns the sources of a configuration, or without any those found on this machine.
func Docs(cfg *config.Config) ([]*yamlpos.Document, error) {
	if cfg.Sources != nil {
		return cfg.Sources, nil
	}
	matches := func(pattern string) bool {
		found, err := filepath.Glob(pattern)
		return err == nil && len(found) > 0
	}
	installed := func(program string) bool {
		_, err := exec.LookPath(program)
		return err == nil
	}
	return config.DefaultSources(matches, installed)
}
