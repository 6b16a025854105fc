package repo

import (
	"strings"
	"testing"
)

// layers gives every package its layer; a package imports only packages of a lower one. It refines
// the numbers of the design where one of its layers has an order within.
var layers = map[string]int{
	"userspace/decision": 0, "userspace/yamlpos": 0, "userspace/grok/char": 0, "userspace/recent": 0, "userspace/jsontext": 0, "userspace/search": 0, "userspace/dns": 0, "userspace/geo/geotest": 0, "userspace/capture": 0, "scenarios": 0, "bench/packet": 0, "bench/lab/topology": 0, "bench/lab/service": 0, "bench/kernel/traffic": 0, "bench/kernel/plot": 0,

	"loader/table": 1, "loader/model": 1, "loader/stack": 1, "userspace/event": 1, "userspace/grok/automaton": 1, "userspace/grok/exact": 1, "userspace/meter": 1, "userspace/source/ledger": 1, "userspace/daemon/health": 1, "userspace/daemon/service": 1, "userspace/daemon/tasks": 1, "userspace/ruledoc": 1, "userspace/review": 1, "userspace/lists": 1, "userspace/geo": 1, "userspace/xmlpath": 1, "userspace/cti": 1, "bench/lab/report": 1, "bench/kernel/report": 1,
	"userspace/daemon/excess": 1, "userspace/bucket/arena": 1, "userspace/statefile": 0, "userspace/sockets": 1, "bench/lab/spoof": 1,

	"userspace/grok/match": 2, "userspace/expr/closure": 2, "userspace/datafile": 2, "userspace/source": 2, "userspace/source/file/offsets": 2, "userspace/enforce/machine": 2, "userspace/store": 2, "userspace/client": 2, "loader": 2,

	"userspace/grok": 3, "userspace/expr": 3, "loader/doctor": 3, "userspace/source/file": 3, "userspace/source/journald": 3, "userspace/source/kernel": 3, "userspace/enforce": 3, "userspace/daemon/links": 3, "userspace/daemon/record": 3,

	"userspace/exprlib": 4, "userspace/enrich": 4, "userspace/alertcontext": 4, "userspace/source/kinds": 4, "bench/lab/observe": 4,

	"userspace/parse": 5, "userspace/bucket": 5, "userspace/profile": 5,

	"userspace/rules": 6,

	"userspace/engine": 7, "userspace/config": 7, "userspace/hub": 7, "userspace/hubtest/assert": 7,

	"userspace/api": 8, "userspace/daemon/inputs": 8, "userspace/daemon/rulebook": 8, "userspace/explain": 8, "userspace/lint": 8, "userspace/inspect": 8, "userspace/hubtest": 8,

	"userspace/daemon": 9,

	"bench/lab": 10, "bench/kernel": 10, "bench/cost": 10,

	"cmd/gabion": 11,

	"tools/gotest/tally": 0, "tools/loggen/logs": 0, "tools/kernels/plan": 0, "tools/repo": 12, "tools/gotest": 12, "tools/loggen": 12, "tools/kernels": 12, "tools/kernels/guest": 12,
}

// owners says which packages may import a library; its users elsewhere go through them.
var owners = map[string][]string{
	// bench/kernel loads programs of its own, to compare with, and runs them with live frames.
	"github.com/cilium/ebpf":               {"loader", "loader/doctor", "bench/kernel"},
	"github.com/expr-lang/expr":            {"userspace/expr", "userspace/expr/closure", "userspace/exprlib", "userspace/hubtest/assert"},
	"go.yaml.in/yaml":                      {"userspace/yamlpos"},
	"modernc.org/sqlite":                   {"userspace/store"},
	"database/sql":                         {"userspace/store"},
	"github.com/google/gopacket":           {"bench/packet"},
	"github.com/oschwald/maxminddb":        {"userspace/geo"},
	"github.com/corazawaf/libinjection-go": {"userspace/exprlib"},
	"github.com/fsnotify/fsnotify":         {"userspace/source/file"},
	"github.com/spf13/cobra":               {"cmd/gabion"},
	"github.com/prometheus":                {"userspace/api", "userspace/daemon"},
	"github.com/coreos/go-systemd":         {"userspace/daemon/service"},
	"github.com/vishvananda/netlink":       {"loader", "loader/stack", "loader/doctor", "userspace/enforce/machine", "userspace/daemon/links", "bench/lab", "bench/lab/topology", "bench/kernel"},
}

func TestAPackageImportsOnlyLowerLayers(t *testing.T) {
	for _, f := range mustParse(t) {
		own, ok := layers[f.pkg]
		if !ok {
			t.Errorf("%s: package %s has no layer: give it one in tools/repo/layers_test.go", f.path, f.pkg)
			continue
		}
		if f.test {
			continue
		}
		for path, spec := range imports(f) {
			pkg, ok := strings.CutPrefix(path, "gabion/")
			if !ok {
				continue
			}
			if layer, ok := layers[pkg]; !ok || layer >= own {
				t.Errorf("%s: %s (layer %d) imports %s (layer %d)", f.position(spec), f.pkg, own, pkg, layer)
			}
		}
	}
}

func TestALibraryIsImportedOnlyByItsOwners(t *testing.T) {
	for _, f := range mustParse(t) {
		if f.test {
			continue
		}
		for path, spec := range imports(f) {
			for library, allowed := range owners {
				if path != library && !strings.HasPrefix(path, library+"/") {
					continue
				}
				if !contains(allowed, f.pkg) {
					t.Errorf("%s: %s imports %s; only %s may", f.position(spec), f.pkg, path, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

func contains(list []string, want string) bool {
	for _, have := range list {
		if have == want {
			return true
		}
	}
	return false
}
