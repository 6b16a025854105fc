package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const full = `state_dir: /srv/gabion
interfaces: [eth0, eth1]
sources:
  - source: file
    filenames: [/var/log/auth.log]
    labels: {type: syslog}
  - source: kernel
rules: {embedded: true, dirs: [/etc/gabion/rules]}
profiles: /etc/gabion/profiles.yaml
engine: {max_buckets: 5000}
simulation: {scenarios: [a/b]}
allow: [192.0.2.0/24, 2001:db8::1]
guard: {peers: [198.51.100.7]}
api: {socket: /run/g.sock, listen: 127.0.0.1:9000}
kernel: {pin_dir: /sys/fs/bpf/x, mode: off, max_bans: 10, connection_limit: {count: 20, window: 2s}, close_connections: yes}
log: {level: debug, format: json}
retention: 7d
`

func TestDecodeReadsEveryKey(t *testing.T) {
	c, err := Decode("gabion.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	if c.StateDir != "/srv/gabion" || c.KeyFile() != "/srv/gabion/api.key" {
		t.Errorf("state dir = %s, key = %s", c.StateDir, c.KeyFile())
	}
	if diff := cmp.Diff([]string{"eth0", "eth1"}, c.Interfaces); diff != "" {
		t.Error(diff)
	}
	if len(c.Sources) != 2 || !c.Sources[0].Has("filenames") {
		t.Errorf("sources = %v", c.Sources)
	}
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}
	if diff := cmp.Diff(want, c.Allowed(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if k := c.Kernel; k.Mode != ModeOff || k.MaxBans != 10 || k.ConnectionLimit.Count != 20 ||
		k.ConnectionLimit.Window.Std() != 2*time.Second || k.MaxAllows == 0 || !k.CloseConnections {
		t.Errorf("kernel = %+v", k)
	}
	if c.Engine.MaxBuckets != 5000 || !c.Simulation.Covers("a/b") || c.Simulation.Covers("c") {
		t.Errorf("engine = %+v, simulation = %+v", c.Engine, c.Simulation)
	}
	if c.Log.Level != "debug" || c.Log.Format != "json" || c.API.Listen.Text != "127.0.0.1:9000" ||
		c.Retention.Std() != 7*24*time.Hour || len(c.Peers()) != 1 || c.Profiles == "" {
		t.Errorf("config = %+v", c)
	}
}

func TestDefaultsHoldWhereTheFileSaysNothing(t *testing.T) {
	c, err := Decode("gabion.yaml", []byte("kernel: {mode: generic}\nrules: {dirs: []}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Kernel.PinDir != Default().Kernel.PinDir || c.StateDir != Default().StateDir || !c.Rules.Embedded {
		t.Errorf("config = %+v", c)
	}
	if c, err := Decode("empty.yaml", nil); err != nil || c.API.Socket != Default().API.Socket {
		t.Errorf("empty file = %+v, %v", c, err)
	}
}

func TestFaultsAreReportedAtOnceWithTheirPlace(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"several faults of one file", "state_dri: /x\nkernel:\n  mode: fast\nallow: [192.0.2.300]\n",
			[]string{"c.yaml:1:1:", "state_dir", "c.yaml:3:9:", `unknown mode "fast"`, "c.yaml:4:9:", "192.0.2.300"}},
		{"a relative state directory", "state_dir: data\n", []string{"c.yaml:1:1:", "absolute"}},
		{"an interface name the kernel does not take", "interfaces: [eth0, waytoolonginterface]\n", []string{"c.yaml:1:1:", "waytoolonginterface"}},
		{"an interface listed twice", "interfaces: [eth0, eth0]\n", []string{"eth0 is named twice"}},
		{"a public listen address", "api: {listen: 203.0.113.1:80}\n", []string{"c.yaml:1:1:", "loopback"}},
		{"a listen address without port", "api: {listen: localhost}\n", []string{"127.0.0.1:8480"}},
		{"an allowlist of everything", "allow: [0.0.0.0/0]\n", []string{"c.yaml:1:9:", "covers every address"}},
		{"no rules at all", "rules: {embedded: false, dirs: []}\n", []string{"nothing would be detected"}},
		{"a window of nothing", "kernel: {connection_limit: {count: 1, window: 0s}}\n", []string{"window must be between 10ms and 1h0m0s, not 0s"}},
		{"what cannot be read and what cannot work", "log: {level: loud}\nretention: 1s\n", []string{"c.yaml:1:14:", "loud", "c.yaml:2:1:", "an hour"}},
		{"no room for buckets", "engine: {max_buckets: 0}\n", []string{"c.yaml:1:1:", "engine.max_buckets must be from 1000 to 16000000, not 0"}},
		{"exceptions from nothing", "simulation: {except: [a/b]}\n", []string{"c.yaml:1:1:", "simulation.except says nothing without all"}},
		{"scenarios besides all", "simulation: {all: true, scenarios: [a/b]}\n", []string{"simulation.scenarios says nothing with all"}},
		{"not YAML", "a: [\n", []string{"c.yaml:"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode("c.yaml", []byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestLoadNamesAMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("error = %v", err)
	}
}

func TestTheExampleFileIsValidAndSaysTheDefaults(t *testing.T) {
	data, err := os.ReadFile("../../packaging/gabion.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Every setting is commented out with "#key"; prose comments have a blank after the sign.
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") && line != "#\n" {
			line = line[1:]
		}
		b.WriteString(line)
	}
	c, err := Decode("gabion.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	d := Default()
	if c.StateDir != d.StateDir || c.Kernel != d.Kernel || c.API.Socket != d.API.Socket ||
		c.API.Listen.Text != d.API.Listen.Text || c.Log != d.Log || c.Retention != d.Retention || c.Engine != d.Engine || c.Simulation.All {
		t.Errorf("the example differs from the defaults: %+v", c)
	}
}

func TestDefaultSourcesAreWhatTheMachineHas(t *testing.T) {
	for _, tt := range []struct {
		name    string
		files   string
		journal bool
		want    []string
	}{
		{"auth.log and nginx", "/var/log/auth.log /var/log/nginx/*.log", true, []string{"filenames", "filenames", "labels"}},
		{"journald only", "", true, []string{"journalctl_filter", "labels"}},
		{"nginx and journald", "/var/log/nginx/*.log", true, []string{"filenames", "journalctl_filter", "labels"}},
		{"nothing but the kernel", "", false, []string{"labels"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			docs, err := DefaultSources(
				func(p string) bool { return strings.Contains(tt.files, p) },
				func(string) bool { return tt.journal })
			if err != nil {
				t.Fatal(err)
			}
			if len(docs) != len(tt.want) {
				t.Fatalf("%d sources, want %d", len(docs), len(tt.want))
			}
			for i, key := range tt.want {
				if !docs[i].Has(key) {
					t.Errorf("source %d has no %s", i, key)
				}
			}
		})
	}
}
