package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func example() *Report {
	r := New(Machine{Kernel: "6.18.0", CPU: "a <CPU>", Cores: 2})
	for bans, ns := range map[int][2]float64{1000: {5, 80}, 1_000_000: {10, 1400}} {
		for i, layout := range []string{"gabion", "lpm"} {
			r.Lookup = append(r.Lookup, Lookup{"ipv4", bans, "clean", layout, "random", ns[i], ns[i] - 1, ns[i] + 1})
		}
	}
	r.Receive = append(r.Receive,
		Receive{"ipv4", "bare", 1000, "clean", "random", 100, 99, 101},
		Receive{"ipv4", "gabion", 1000, "clean", "random", 125, 124, 126},
		Receive{"ipv4", "nft-ingress", 1000, "clean", "random", 500, 490, 510})
	r.Load = append(r.Load,
		Load{"ipv4", "gabion", 1000, "random", 0.1, 16000, 0.1, 0.2},
		Load{"ipv4", "ipset", 1000, "random", 2, 40000, 1.5, 2.5})
	r.Notes = append(r.Notes, "receive: ipset-raw is left out")
	return r
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name    string
		samples []float64
		want    [3]float64
	}{
		{"odd", []float64{3, 1, 2}, [3]float64{2, 1, 3}},
		{"even", []float64{4, 1, 2, 3}, [3]float64{2.5, 1, 4}},
		{"one", []float64{7}, [3]float64{7, 7, 7}},
		{"one outlier moves only the largest", []float64{1, 1, 1, 1, 1000}, [3]float64{1, 1, 1000}},
		{"below zero", []float64{-1, 0, 1}, [3]float64{0, -1, 1}},
		{"none", nil, [3]float64{}},
	} {
		median, lowest, highest := Spread(tt.samples)
		if got := [3]float64{median, lowest, highest}; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	samples := []float64{3, 1, 2}
	Spread(samples)
	if diff := cmp.Diff([]float64{3, 1, 2}, samples); diff != "" {
		t.Errorf("the samples were reordered:\n%s", diff)
	}
}

func TestTheJSONHasTheNamesThatOthersReadItBy(t *testing.T) {
	raw, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string][]string{
		"lookup":  {"family", "bans", "mix", "layout", "set", "ns", "min", "max"},
		"receive": {"family", "receiver", "bans", "mix", "set", "ns", "min", "max"},
		"load":    {"family", "structure", "entries", "set", "seconds", "bytes", "min", "max"},
	} {
		row := got[part].([]any)[0].(map[string]any)
		for _, name := range want {
			if _, ok := row[name]; !ok {
				t.Errorf("%s: no %s in %v", part, name, row)
			}
		}
		if len(row) != len(want) {
			t.Errorf("%s: %v, want just %v", part, row, want)
		}
	}
	empty, err := json.Marshal(New(Machine{}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"lookup":[],"receive":[],"load":[],"machine":{"kernel":"","cpu":"","cores":0},"notes":[]}`
	if string(empty) != want {
		t.Errorf("nothing measured: %s, want %s", empty, want)
	}
}

func TestPrintShowsMediansRatiosAndWhatIsMissing(t *testing.T) {
	var out bytes.Buffer
	if err := example().Print(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for _, want := range []string{
		"ipv4, 1,000,000 random bans|clean",
		"gabion|10.0 [9.0-11.0]",
		"lookup, lpm : gabion|140x",
		"lookup, lpm : gabion|16x",
		"receive, gabion : bare|1.25x",
		"receive, nft-ingress : gabion|4x",
		"ipv4|random|1,000|ipset|2.0000 [1.5000-2.5000]|0.0|40|20x",
		"receive: ipset-raw is left out",
	} {
		found := false
		for _, line := range lines {
			found = found || squeeze(line) == want
		}
		if !found {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
}

// squeeze turns the gaps between columns into bars.
func squeeze(line string) string {
	var cells []string
	for cell := range strings.SplitSeq(line, "  ") {
		if cell = strings.TrimSpace(cell); cell != "" {
			cells = append(cells, cell)
		}
	}
	return strings.Join(cells, "|")
}

func TestARatioToNothingHasNoNumber(t *testing.T) {
	for _, tt := range []struct {
		a, b float64
		want string
	}{{10, 4, "2.5x"}, {10, 0, "-"}, {10, -0.3, "-"}, {-1, 4, "-"}, {1400, 9.5, "147x"}} {
		if got := ratio(tt.a, tt.b); got != tt.want {
			t.Errorf("ratio(%g, %g) = %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestThePlotHasADiagramForEachQuestion(t *testing.T) {
	var out bytes.Buffer
	if err := example().WriteSVG(&out); err != nil {
		t.Fatal(err)
	}
	titles := 0
	for d := xml.NewDecoder(&out); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "g" {
			titles++
		}
	}
	if titles != 3 {
		t.Errorf("%d diagrams, want 3: lookup, receive and load", titles)
	}
}
