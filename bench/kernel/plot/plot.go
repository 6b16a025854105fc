// Package plot draws lines over logarithmic axes as SVG, small and plain enough to read in a text
// editor and without a background, so that it looks right on a light and on a dark page.
package plot

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Point is a value and between what its repetitions lie. X may be 0, which has a place of its own on
// the axis; what is not positive in Y is drawn at the bottom.
type Point struct{ X, Y, Low, High float64 }

// Series is one line.
type Series struct {
	Name   string
	Color  string // as CSS
	Bold   bool
	Points []Point
}

// Panel is one diagram.
type Panel struct {
	Title  string
	XLabel string
	YLabel string
	Series []Series
}

// Sizes in pixels.
const (
	columns     = 2
	panelWidth  = 540
	panelHeight = 320
	left        = 62  // of the axis in its panel
	right       = 148 // the legend's width
	top         = 44
	bottom      = 48
	header      = 56
	ink         = "#808080" // text and axes: on white and on black
	faint       = 0.25      // opacity of grid lines
)

// Write draws panels, two in a row, under a title and a line that says where the numbers are from.
func Write(w io.Writer, title, origin string, panels []Panel) error {
	rows := (len(panels) + columns - 1) / columns
	width, height := columns*panelWidth, header+rows*panelHeight
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="%s">`+"\n",
		width, height, width, height, ink)
	text(out, 12, 24, `font-size="17" font-weight="bold"`, title)
	text(out, 12, 44, "", origin)
	for i, p := range panels {
		fmt.Fprintf(out, `<g transform="translate(%d %d)">`+"\n", i%columns*panelWidth, header+i/columns*panelHeight)
		newCanvas(out, p).draw(p)
		fmt.Fprintln(out, "</g>")
	}
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

func text(w io.Writer, x, y float64, attributes, s string) {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(s)) // a strings.Builder does not fail
	fmt.Fprintf(w, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, attributes, escaped.String())
}

// canvas knows where values are in a panel.
type canvas struct {
	w           io.Writer
	zero        bool    // X has a 0
	lowX, highX float64 // decimal logarithms
	lowY, highY float64 // likewise, whole numbers
	values      []float64
}

func newCanvas(w io.Writer, p Panel) *canvas {
	c := &canvas{w: w, lowX: math.Inf(1), highX: math.Inf(-1), lowY: math.Inf(1), highY: math.Inf(-1)}
	for _, s := range p.Series {
		for _, pt := range s.Points {
			c.values = append(c.values, pt.X)
			if pt.X > 0 {
				c.lowX, c.highX = min(c.lowX, math.Log10(pt.X)), max(c.highX, math.Log10(pt.X))
			} else {
				c.zero = true
			}
			for _, y := range []float64{pt.Y, pt.High} {
				if y > 0 {
					c.lowY, c.highY = min(c.lowY, math.Floor(math.Log10(y))), max(c.highY, math.Ceil(math.Log10(y)))
				}
			}
		}
	}
	slices.Sort(c.values)
	c.values = slices.Compact(c.values)
	if c.lowX > c.highX {
		c.lowX, c.highX = 0, 0
	}
	if c.zero {
		c.lowX-- // a decade for the 0
	}
	if c.lowX == c.highX {
		c.lowX, c.highX = c.lowX-1, c.highX+1
	}
	if c.lowY > c.highY {
		c.lowY, c.highY = 0, 0
	}
	if c.lowY == c.highY {
		c.highY++
	}
	return c
}

func (c *canvas) x(v float64) float64 {
	at := c.lowX
	if v > 0 {
		at = math.Log10(v)
	}
	return left + (at-c.lowX)/(c.highX-c.lowX)*(panelWidth-left-right)
}

func (c *canvas) y(v float64) float64 {
	at := c.lowY
	if v > 0 {
		at = max(math.Log10(v), c.lowY)
	}
	return top + (c.highY-at)/(c.highY-c.lowY)*(panelHeight-top-bottom)
}

func (c *canvas) draw(p Panel) {
	text(c.w, left, 22, `font-size="14" font-weight="bold"`, p.Title)
	text(c.w, left, top-6, `font-size="11"`, p.YLabel)
	text(c.w, (left+panelWidth-right)/2, panelHeight-8, `font-size="11" text-anchor="middle"`, p.XLabel)
	c.grid()
	for _, s := range p.Series {
		c.line(s)
	}
	c.legend(p.Series)
}

func (c *canvas) grid() {
	for e := c.lowY; e <= c.highY; e++ {
		y := c.y(math.Pow(10, e))
		c.stroke(left, y, panelWidth-right, y)
		text(c.w, left-6, y+4, `text-anchor="end"`, Short(math.Pow(10, e)))
	}
	for _, v := range c.values {
		x := c.x(v)
		c.stroke(x, top, x, panelHeight-bottom)
		text(c.w, x, panelHeight-bottom+16, `text-anchor="middle"`, Short(v))
	}
}

func (c *canvas) stroke(x1, y1, x2, y2 float64) {
	fmt.Fprintf(c.w, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-opacity="%g"/>`+"\n", x1, y1, x2, y2, ink, faint)
}

func (c *canvas) line(s Series) {
	width := 1.6
	if s.Bold {
		width = 3
	}
	var path strings.Builder
	for i, p := range s.Points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, c.x(p.X), c.y(p.Y))
	}
	fmt.Fprintf(c.w, `<path d="%s" fill="none" stroke="%s" stroke-width="%g"/>`+"\n", path.String(), s.Color, width)
	for _, p := range s.Points {
		fmt.Fprintf(c.w, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", c.x(p.X), c.y(p.Low), c.x(p.X), c.y(p.High), s.Color)
		fmt.Fprintf(c.w, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/>`+"\n", c.x(p.X), c.y(p.Y), width+1, s.Color)
	}
}

// legend names the lines beside their ends, in the order of these and far enough apart to read.
func (c *canvas) legend(series []Series) {
	const row = 17
	order := slices.DeleteFunc(slices.Clone(series), func(s Series) bool { return len(s.Points) == 0 })
	end := func(s Series) Point { return s.Points[len(s.Points)-1] }
	slices.SortStableFunc(order, func(a, b Series) int { return int(c.y(end(a).Y)*100) - int(c.y(end(b).Y)*100) })
	last := float64(panelHeight-bottom) + row
	at := make([]float64, len(order))
	for i := len(order) - 1; i >= 0; i-- { // from below, so that none falls off the panel
		at[i] = min(c.y(end(order[i]).Y), last-row)
		last = at[i]
	}
	for i, s := range order {
		weight := "normal"
		if s.Bold {
			weight = "bold"
		}
		text(c.w, panelWidth-right+10, at[i]+4, fmt.Sprintf(`fill="%s" font-weight="%s"`, s.Color, weight), s.Name+" "+Short(end(s).Y))
	}
}

// Short writes a number as on an axis: 0.01, 500, 1k, 2.5M.
func Short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			return fmt.Sprintf("%.3g%s", v/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}
