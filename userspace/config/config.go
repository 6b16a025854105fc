// Package config reads the daemon's file: strict YAML in which every fault is reported at once with
// its line and column, and in which everything has a default.
//
// A Config is what was decoded; nothing changes it afterwards.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gabion/userspace/yamlpos"
)

// DefaultFile is read when no file is named and it exists.
const DefaultFile = "/etc/gabion/gabion.yaml"

// KeyName is the file in the state directory that holds the key of the Local API.
const KeyName = "api.key"

// Config is the daemon's file.
type Config struct {
	File string `yaml:"-"` // empty when no file was read

	StateDir   string              `yaml:"state_dir"`
	Interfaces []string            `yaml:"interfaces"` // empty: those of the default routes
	Sources    []*yamlpos.Document `yaml:"sources"`    // nil: what DefaultSources finds
	Rules      Rules               `yaml:"rules"`
	Profiles   string              `yaml:"profiles"` // empty: built in
	Engine     Engine              `yaml:"engine"`
	Simulation Simulation          `yaml:"simulation"`
	Allow      []Prefix            `yaml:"allow"`
	Guard      Guard               `yaml:"guard"`
	API        API                 `yaml:"api"`
	CTI        CTI                 `yaml:"cti"`
	Kernel     Kernel              `yaml:"kernel"`
	Log        Log                 `yaml:"log"`
	Retention  yamlpos.Duration    `yaml:"retention"` // how long ended alerts and decisions are kept

	Keys yamlpos.Mapping `yaml:",mapping"` // where each key is written
}

// Rules says where parsers and scenarios come from.
type Rules struct {
	Embedded bool     `yaml:"embedded"`
	Dirs     []string `yaml:"dirs"`
}

// Engine bounds the detection.
type Engine struct {
	MaxBuckets int `yaml:"max_buckets"` // alive at a time; each takes about 300 bytes
}

// Simulation names the scenarios whose decisions are counted and not enforced: some, or all but some.
type Simulation struct {
	All       bool     `yaml:"all"`
	Scenarios []string `yaml:"scenarios"` // without All
	Except    []string `yaml:"except"`    // with All
}

// Covers reports whether the decisions of a scenario are only simulated.
func (s Simulation) Covers(scenario string) bool {
	if s.All {
		return !slices.Contains(s.Except, scenario)
	}
	return slices.Contains(s.Scenarios, scenario)
}

// Guard names addresses, besides those the daemon finds itself, that can never be banned.
type Guard struct {
	Peers []Prefix `yaml:"peers"`
}

// API says where the Local API listens. An empty Listen leaves the socket alone.
type API struct {
	Socket string       `yaml:"socket"`
	Listen yamlpos.Text `yaml:"listen"`
}

// CTI is the threat intelligence service that rules ask through CrowdsecCTI. Without a key nothing is
// asked.
type CTI struct {
	URL string `yaml:"url"`
	Key string `yaml:"key"`
}

// Kernel configures the data plane.
type Kernel struct {
	PinDir           string           `yaml:"pin_dir"`
	Mode             Mode             `yaml:"mode"`
	MaxBans          uint32           `yaml:"max_bans"`
	MaxAllows        uint32           `yaml:"max_allows"`
	ConnectionLimit  *ConnectionLimit `yaml:"connection_limit"`  // nil: the meters say it all
	CloseConnections bool             `yaml:"close_connections"` // of sources that are banned from then on
}

// ConnectionLimit replaces numbers of the meter gabion/connection-rate: how many new connections one
// source may open in a window. Without a key the meter's own number holds.
type ConnectionLimit struct {
	At     yamlpos.Mapping  `yaml:",mapping"` // where each key is written
	Count  uint32           `yaml:"count"`    // 0 leaves the meter out
	Window yamlpos.Duration `yaml:"window"`
}

// Log configures the daemon's own messages.
type Log struct {
	Level  Level  `yaml:"level"`
	Format Format `yaml:"format"`
}

// Default returns the configuration of a daemon without a file.
func Default() *Config {
	return &Config{
		StateDir: "/var/lib/gabion",
		Rules:    Rules{Embedded: true, Dirs: []string{"/etc/gabion/rules"}},
		API:      API{Socket: "/run/gabion/gabion.sock", Listen: yamlpos.Text{Text: "127.0.0.1:8480", Set: true}},
		Engine:   Engine{MaxBuckets: 1_000_000},
		CTI:      CTI{URL: "https://cti.api.crowdsec.net/v2"},
		Kernel: Kernel{
			PinDir:    "/sys/fs/bpf/gabion",
			Mode:      ModeAuto,
			MaxBans:   1_000_000,
			MaxAllows: 65_536,
		},
		Log:       Log{Level: "info", Format: "text"},
		Retention: yamlpos.Duration(30 * 24 * time.Hour),
	}
}

// Load reads the file at path. With an empty path it reads DefaultFile, and without that the
// defaults hold. All faults of the file are returned at once, as yamlpos.Errors.
func Load(path string) (*Config, error) {
	named := path != ""
	if !named {
		path = DefaultFile
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return Default(), nil
	case err != nil:
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Decode(path, data)
}

// Decode reads the text of a file; its name appears in errors.
func Decode(file string, data []byte) (*Config, error) {
	c := Default()
	c.File = file
	var errs yamlpos.Errors
	errs.Add(yamlpos.Position{File: file}, yamlpos.DecodeFile(file, data, c))
	errs.Add(yamlpos.Position{File: file}, c.check()) // what could not be decoded has its default
	errs.Sort()
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// KeyFile returns the path of the API key.
func (c *Config) KeyFile() string { return filepath.Join(c.StateDir, KeyName) }

// Allowed returns the prefixes of the user's allowlist.
func (c *Config) Allowed() []netip.Prefix { return prefixes(c.Allow) }

// Peers returns the prefixes the guard is told to protect.
func (c *Config) Peers() []netip.Prefix { return prefixes(c.Guard.Peers) }

func prefixes(in []Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(in))
	for i, p := range in {
		out[i] = p.Prefix
	}
	return out
}
