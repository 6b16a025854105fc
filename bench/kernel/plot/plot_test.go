package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func panel(points ...Point) Panel {
	return Panel{Title: "clean <&> banned", XLabel: "hosts", YLabel: "ns", Series: []Series{{Name: "a", Color: "#123456", Points: points}}}
}

// elements counts what is in a document by element, and fails when it is not well-formed.
func elements(t *testing.T, doc []byte) map[string]int {
	t.Helper()
	out := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, doc)
		}
		if start, ok := token.(xml.StartElement); ok {
			out[start.Name.Local]++
		}
	}
}

func TestAPlotIsWellFormedWhateverItsValuesAre(t *testing.T) {
	for _, tt := range []struct {
		name   string
		points []Point
	}{
		{"decades", []Point{{1000, 5, 4, 6}, {1e6, 500, 400, 600}}},
		{"no bans at all", []Point{{0, 5, 4, 6}}},
		{"no bans and some", []Point{{0, 5, 4, 6}, {1000, 7, 7, 7}}},
		{"one size", []Point{{1000, 1, 1, 1}}},
		{"lost in the noise", []Point{{1000, -0.5, -2, 1}, {1e6, 0, -1, 0}}},
		{"nothing", nil},
	} {
		var out bytes.Buffer
		if err := Write(&out, `"title"`, "a & b", []Panel{panel(tt.points...)}); err != nil {
			t.Fatal(err)
		}
		if n := elements(t, out.Bytes())["circle"]; n != len(tt.points) {
			t.Errorf("%s: %d points are drawn, want %d", tt.name, n, len(tt.points))
		}
		if s := out.String(); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Errorf("%s: a place is no number:\n%s", tt.name, s)
		}
	}
}

func TestValuesAreWhereTheAxesSay(t *testing.T) {
	c := newCanvas(io.Discard, panel(Point{X: 0, Y: 10, High: 10}, Point{X: 1000, Y: 100, High: 100}, Point{X: 1e6, Y: 1000, High: 1000}))
	for _, tt := range []struct {
		name      string
		got, want float64
	}{
		{"0 is at the left", c.x(0), left},
		{"1k is a decade to the right", c.x(1000), left + (panelWidth-left-right)/4.0},
		{"1M is at the right", c.x(1e6), panelWidth - right},
		{"the least is at the bottom", c.y(10), panelHeight - bottom},
		{"the middle is in the middle", c.y(100), (top + panelHeight - bottom) / 2.0},
		{"the most is at the top", c.y(1000), top},
		{"what is not positive is at the bottom", c.y(-3), panelHeight - bottom},
	} {
		if d := tt.got - tt.want; d > 0.01 || d < -0.01 {
			t.Errorf("%s: at %.2f, want %.2f", tt.name, tt.got, tt.want)
		}
	}
}

func TestNumbersAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01: "0.01", 12.34: "12.3", 1000: "1k", 2500: "2.5k", 1e7: "10M", 3e9: "3G"} {
		if got := Short(v); got != want {
			t.Errorf("Short(%g) = %s, want %s", v, got, want)
		}
	}
}
