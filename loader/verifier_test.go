package loader

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "put this kernel's rows of "+costFile+" right")

const (
	costFile = "testdata/verifier.txt"
	costHead = `# What the verifier of each kernel counts for each program: instructions it looks at, states it
# keeps (total and at once). Written by the tests themselves: ` + "`go test ./loader -run Verifier -update`" + `
# for the kernel it runs on, ` + "`make test-kernels UPDATE=1`" + ` for the others.
#
# kernel  program        instructions  states  peak
`
	// maxInstructions is a fifth of what kernels allow: room for those whose verifier is less clever.
	maxInstructions = 200_000
)

// costKey names a row: a program on a kernel, such as 6.1.
type costKey struct{ kernel, program string }

// cost is what the verifier counts.
type cost struct{ Instructions, States, Peak int }

type costs map[costKey]cost

func TestTheVerifierDoesNoMoreThanIsOnRecord(t *testing.T) {
	needRoot(t)
	kernel := mustKernel(t)
	measured := mustMeasure(t)
	record := mustReadCosts(t)
	if *update {
		maps.DeleteFunc(record, func(k costKey, _ cost) bool { return k.kernel == kernel || measured[k.program] == (cost{}) })
		for program, c := range measured {
			record[costKey{kernel, program}] = c
		}
		mustWriteCosts(t, record)
	}
	for program, c := range measured {
		t.Run(program, func(t *testing.T) {
			if c.Instructions > maxInstructions {
				t.Errorf("the verifier looks at %d instructions, want at most %d of the million allowed", c.Instructions, maxInstructions)
			}
			of, want, ok := record.find(kernel, program)
			switch {
			case !ok:
				t.Fatalf("%s has no row for %s: add one with go test ./loader -run Verifier -update", costFile, program)
			case of != kernel:
				t.Logf("%s has no row for Linux %s: compared with the highest, of %s", costFile, kernel, of)
			}
			if over := c.over(want); over != "" {
				t.Errorf("on Linux %s %s, and the record of %s allows a tenth more than %+v: "+
					"make the program cheaper, or accept it with go test ./loader -run Verifier -update", kernel, over, of, want)
			}
			if of == kernel && want.over(c) != "" {
				t.Logf("cheaper than on record (%+v, was %+v): keep that with go test ./loader -run Verifier -update", c, want)
			}
		})
	}
	for key := range record {
		if _, ok := measured[key.program]; !ok {
			t.Errorf("%s has a row for %s, which is no program any more: take it out", costFile, key.program)
		}
	}
}

// mustMeasure loads all programs as Open does and returns what the verifier said.
func mustMeasure(t *testing.T) map[string]cost {
	t.Helper()
	spec, err := newSpec(small(""))
	if err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	if err != nil {
		t.Fatalf("load: %+v", err)
	}
	defer coll.Close()
	out := map[string]cost{}
	for name, prog := range coll.Programs {
		c, err := parseCost(prog.VerifierLog)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = c
	}
	if len(out) == 0 {
		t.Fatal("the object has no programs")
	}
	return out
}

// mustKernel returns the running kernel's series: later releases of it verify alike.
func mustKernel(t *testing.T) string {
	t.Helper()
	v, err := features.LinuxVersionCode()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d.%d", v>>16, v>>8&0xff)
}

// parseCost finds the verifier's summary in its log.
func parseCost(log string) (cost, error) {
	m := regexp.MustCompile(`(?m)^processed (\d+) insns .*\btotal_states (\d+) peak_states (\d+)\b`).FindStringSubmatch(log)
	if m == nil {
		return cost{}, fmt.Errorf("no summary in the verifier's log %q", log)
	}
	return atoiCost(m[1:])
}

func atoiCost(fields []string) (c cost, err error) {
	for i, into := range []*int{&c.Instructions, &c.States, &c.Peak} {
		if *into, err = strconv.Atoi(fields[i]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// over says in what c passes limit by more than a tenth, and is empty when it does not.
func (c cost) over(limit cost) string {
	var said []string
	for _, n := range []struct {
		name        string
		have, limit int
	}{
		{"instructions", c.Instructions, limit.Instructions},
		{"states", c.States, limit.States},
		{"states at once", c.Peak, limit.Peak},
	} {
		if n.have*10 > n.limit*11 {
			said = append(said, fmt.Sprintf("%d %s", n.have, n.name))
		}
	}
	return strings.Join(said, ", ")
}

// find returns the row of a kernel, or of the kernel on which the program costs most.
func (cs costs) find(kernel, program string) (of string, c cost, ok bool) {
	if c, ok := cs[costKey{kernel, program}]; ok {
		return kernel, c, true
	}
	for key, row := range cs {
		if key.program == program && (!ok || row.Instructions > c.Instructions) {
			of, c, ok = key.kernel, row, true
		}
	}
	return of, c, ok
}

func parseCosts(text string) (costs, error) {
	out := costs{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if len(fields) != 5 {
			return nil, fmt.Errorf("%s:%d: %d fields, want 5", costFile, n, len(fields))
		}
		c, err := atoiCost(fields[2:])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", costFile, n, err)
		}
		out[costKey{fields[0], fields[1]}] = c
	}
	return out, lines.Err()
}

func (cs costs) String() string {
	var b strings.Builder
	b.WriteString(costHead)
	for _, key := range slices.SortedFunc(maps.Keys(cs), func(a, b costKey) int {
		return cmp.Or(compareKernels(a.kernel, b.kernel), cmp.Compare(a.program, b.program))
	}) {
		c := cs[key]
		fmt.Fprintf(&b, "%-9s %-14s %12d %7d %5d\n", key.kernel, key.program, c.Instructions, c.States, c.Peak)
	}
	return b.String()
}

// compareKernels orders 6.1 before 6.12.
func compareKernels(a, b string) int {
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	aMajor, aMinor, _ := strings.Cut(a, ".")
	bMajor, bMinor, _ := strings.Cut(b, ".")
	return cmp.Or(cmp.Compare(number(aMajor), number(bMajor)), cmp.Compare(number(aMinor), number(bMinor)))
}

func mustReadCosts(t *testing.T) costs {
	t.Helper()
	text, err := os.ReadFile(costFile)
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Fatal(err)
	}
	out, err := parseCosts(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustWriteCosts(t *testing.T, cs costs) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(costFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(costFile, []byte(cs.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheVerifierSummaryIsRead(t *testing.T) {
	const line = "processed 4051 insns (limit 1000000) max_states_per_insn 12 total_states 223 peak_states 101 mark_read 33\n"
	got, err := parseCost("verification time 900 usec\nstack depth 184\n" + line)
	if want := (cost{4051, 223, 101}); err != nil || got != want {
		t.Errorf("cost = %+v, %v; want %+v", got, err, want)
	}
	if c, err := parseCost("stack depth 184\n"); err == nil {
		t.Errorf("a log without summary: cost = %+v, want an error", c)
	}
}

func TestVerifierCostsAreWrittenInTheOrderOfKernelsAndReadBack(t *testing.T) {
	want := costs{
		{"6.12", "gabion_tc"}:  {3, 2, 1},
		{"5.10", "gabion_xdp"}: {6, 5, 4},
		{"6.1", "gabion_tc"}:   {9, 8, 7},
	}
	text := want.String()
	if got := regexp.MustCompile(`(?m)^\d\S+`).FindAllString(text, -1); !slices.Equal(got, []string{"5.10", "6.1", "6.12"}) {
		t.Errorf("kernels in order %v:\n%s", got, text)
	}
	got, err := parseCosts(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"6.1 gabion_tc 1 2", "6.1 gabion_tc 1 2 many"} {
		if _, err := parseCosts(bad); err == nil {
			t.Errorf("%q was read without an error", bad)
		}
	}
}

func TestAVerifierCostIsComparedWithItsOwnKernelOrTheHighest(t *testing.T) {
	record := costs{
		{"5.10", "gabion_tc"}:  {2000, 200, 100},
		{"6.1", "gabion_tc"}:   {1000, 100, 50},
		{"5.10", "gabion_xdp"}: {9000, 900, 500},
	}
	for _, tt := range []struct {
		kernel, program, of string
		ok                  bool
	}{
		{"6.1", "gabion_tc", "6.1", true},
		{"6.6", "gabion_tc", "5.10", true},
		{"6.6", "gabion_egress", "", false},
	} {
		if of, _, ok := record.find(tt.kernel, tt.program); of != tt.of || ok != tt.ok {
			t.Errorf("%s on %s is compared with %q, %v; want %q, %v", tt.program, tt.kernel, of, ok, tt.of, tt.ok)
		}
	}
	limit := cost{1000, 100, 50}
	for _, tt := range []struct {
		c    cost
		over string
	}{
		{cost{1100, 110, 55}, ""},
		{cost{1101, 110, 55}, "1101 instructions"},
		{cost{1, 111, 56}, "111 states, 56 states at once"},
	} {
		if got := tt.c.over(limit); got != tt.over {
			t.Errorf("%+v is over %+v by %q, want %q", tt.c, limit, got, tt.over)
		}
	}
}
