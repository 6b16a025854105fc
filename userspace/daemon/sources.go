package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"time"

	"gabion/userspace/config"
	"gabion/userspace/source"
	"gabion/userspace/source/file"
	"gabion/userspace/yamlpos"
)

// SourceDocs returns the sources of a configuration, or without any those found on this machine.
func SourceDocs(cfg *config.Config) ([]*yamlpos.Document, error) {
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

type tmpDeps struct {
	dir string
	log *slog.Logger
	now func() time.Time
}

func sourceDeps(cfg *config.Config, _ any, log *slog.Logger, now func() time.Time) tmpDeps {
	return tmpDeps{cfg.StateDir, log, now}
}

func decodeSources(ctx context.Context, cfg *config.Config, deps tmpDeps) ([]source.Source, error) {
	docs, err := SourceDocs(cfg)
	if err != nil {
		return nil, err
	}
	var out []source.Source
	for _, d := range docs {
		var m map[string]any
		_ = d.Decode(&m)
		if m["source"] != "file" {
			continue
		}
		var pats []string
		for _, p := range m["filenames"].([]any) {
			pats = append(pats, p.(string))
		}
		labels := map[string]string{}
		for k, v := range m["labels"].(map[string]any) {
			labels[k] = fmt.Sprint(v)
		}
		s, err := file.New(file.Config{Patterns: pats, Labels: labels, Log: deps.log, Now: deps.now})
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (d *Daemon) openSources(ctx context.Context, cfg *config.Config) error {
	srcs, err := decodeSources(ctx, cfg, sourceDeps(cfg, nil, d.log, d.now))
	if err != nil {
		return err
	}
	for _, s := range srcs {
		d.inputs = append(d.inputs, &input{source: s})
	}
	return nil
}

// Interfaces returns the interfaces that a configuration protects.
func Interfaces(cfg *config.Config) ([]string, error) {
	if len(cfg.Interfaces) > 0 {
		return cfg.Interfaces, nil
	}
	return defaultInterfaces()
}
