package report

import (
	"fmt"
	"io"

	"gabion/bench/kernel/plot"
)

// colors of the lines, each legible on white and on black.
func color(name string) string {
	switch name {
	case gabion:
		return "#e4572e"
	case bare:
		return "#8a8a8a"
	case "lpm":
		return "#2e86c1"
	case "hash_lpm", "hash":
		return "#17a589"
	case "xdp-filter":
		return "#b565a7"
	case "nft-ingress", "nft":
		return "#c49102"
	case "nft-prerouting":
		return "#8d6e1f"
	}
	return "#5c9e31"
}

// WriteSVG plots cost against the size of the set: lookups and receivers of clean and of banned
// sources, and loading.
func (r *Report) WriteSVG(w io.Writer) error {
	var panels []plot.Panel
	for _, part := range []struct {
		title string
		cells []cell
	}{{"lookup", r.lookupCells()}, {"receive", r.receiveCells()}} {
		for _, g := range distinct(part.cells, func(c cell) group { return group{c.group.family, c.group.set, 0} }) {
			for _, mix := range []string{"clean", "banned"} {
				cells := filter(part.cells, func(c cell) bool {
					return c.group.family == g.family && c.group.set == g.set && c.mix == mix
				})
				if len(cells) > 0 {
					title := fmt.Sprintf("%s, %s, %s set: %s source", part.title, g.family, g.set, mix)
					panels = append(panels, plot.Panel{Title: title, XLabel: "banned hosts", YLabel: "ns", Series: lines(cells)})
				}
			}
		}
	}
	panels = append(panels, r.loadPanels()...)
	origin := fmt.Sprintf("Linux %s, %s, %d cores; medians, bars from the smallest to the largest repetition", r.Machine.Kernel, r.Machine.CPU, r.Machine.Cores)
	if err := plot.Write(w, "Kernel data path: cost against the number of bans", origin, panels); err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	return nil
}

func lines(cells []cell) []plot.Series {
	var out []plot.Series
	for _, name := range distinct(cells, func(c cell) string { return c.name }) {
		s := plot.Series{Name: name, Color: color(name), Bold: name == gabion}
		for _, c := range filter(cells, func(c cell) bool { return c.name == name }) {
			s.Points = append(s.Points, plot.Point{X: float64(c.group.bans), Y: c.ns, Low: c.min, High: c.max})
		}
		out = append(out, s)
	}
	return out
}

func (r *Report) loadPanels() []plot.Panel {
	var seconds []cell
	for _, l := range r.Load {
		seconds = append(seconds, cell{group{l.Family, l.Set, l.Entries}, l.Structure, "", l.Seconds, l.Min, l.Max})
	}
	var panels []plot.Panel
	for _, g := range distinct(seconds, func(c cell) group { return group{c.group.family, c.group.set, 0} }) {
		cells := filter(seconds, func(c cell) bool { return c.group.family == g.family && c.group.set == g.set })
		title := fmt.Sprintf("load, %s, %s set", g.family, g.set)
		panels = append(panels, plot.Panel{Title: title, XLabel: "banned hosts", YLabel: "seconds", Series: lines(cells)})
	}
	return panels
}
