package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
)

// gabion, bare and lpm are the names that ratios are made of.
const (
	gabion = "gabion"
	bare   = "bare"
)

// cell is one median of a table: of a lookup or of a receiver.
type cell struct {
	group        group
	name, mix    string
	ns, min, max float64
}

// group is what stands above a table.
type group struct {
	family, set string
	bans        int
}

func (g group) String() string {
	return fmt.Sprintf("%s, %s %s bans", g.family, thousands(g.bans), g.set)
}

func (r *Report) lookupCells() []cell {
	var out []cell
	for _, l := range r.Lookup {
		out = append(out, cell{group{l.Family, l.Set, l.Bans}, l.Layout, l.Mix, l.NS, l.Min, l.Max})
	}
	return out
}

func (r *Report) receiveCells() []cell {
	var out []cell
	for _, l := range r.Receive {
		out = append(out, cell{group{l.Family, l.Set, l.Bans}, l.Receiver, l.Mix, l.NS, l.Min, l.Max})
	}
	return out
}

// Print writes all tables.
func (r *Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "Linux %s, %s, %d cores. Medians [smallest-largest repetition].\n", r.Machine.Kernel, r.Machine.CPU, r.Machine.Cores)
	printCells(tw, "Lookup of one source, ns", r.lookupCells())
	printCells(tw, "Receiving and dropping one packet, ns", r.receiveCells())
	r.printLoad(tw)
	r.printRatios(tw)
	if len(r.Notes) > 0 {
		fmt.Fprint(tw, "\nNot measured, or to be read with care\n")
		for _, n := range r.Notes {
			fmt.Fprintf(tw, "  %s\n", n)
		}
	}
	return tw.Flush()
}

func printCells(w io.Writer, title string, cells []cell) {
	if len(cells) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, g := range distinct(cells, func(c cell) group { return c.group }) {
		table := filter(cells, func(c cell) bool { return c.group == g })
		mixes := distinct(table, func(c cell) string { return c.mix })
		fmt.Fprintf(w, "  %s", g)
		for _, m := range mixes {
			fmt.Fprintf(w, "\t%s", m)
		}
		fmt.Fprintln(w)
		for _, name := range distinct(table, func(c cell) string { return c.name }) {
			fmt.Fprintf(w, "    %s", name)
			for _, m := range mixes {
				c, ok := find(table, name, m)
				if !ok {
					fmt.Fprint(w, "\t-")
					continue
				}
				fmt.Fprintf(w, "\t%.1f [%.1f-%.1f]", c.ns, c.min, c.max)
			}
			fmt.Fprintln(w)
		}
	}
}

func (r *Report) printLoad(w io.Writer) {
	if len(r.Load) == 0 {
		return
	}
	fmt.Fprint(w, "\nLoading a set\n  family\tset\tentries\tstructure\tseconds\tMiB\tbytes per entry\ttime against gabion\n")
	for _, l := range r.Load {
		against := "-"
		for _, own := range r.Load {
			if own.Structure == gabion && own.Family == l.Family && own.Set == l.Set && own.Entries == l.Entries {
				against = ratio(l.Seconds, own.Seconds)
			}
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%.4f [%.4f-%.4f]\t%.1f\t%.0f\t%s\n", l.Family, l.Set, thousands(l.Entries), l.Structure,
			l.Seconds, l.Min, l.Max, float64(l.Bytes)/(1<<20), float64(l.Bytes)/float64(l.Entries), against)
	}
}

// printRatios says by how many times gabion is above the limit, and the others above gabion.
func (r *Report) printRatios(w io.Writer) {
	lookup, receive := r.lookupCells(), r.receiveCells()
	if len(lookup)+len(receive) == 0 {
		return
	}
	fmt.Fprint(w, "\nRatios of medians\n")
	for _, g := range distinct(append(slices.Clone(lookup), receive...), func(c cell) group { return c.group }) {
		inGroup := func(c cell) bool { return c.group == g }
		mixes := distinct(filter(append(slices.Clone(lookup), receive...), inGroup), func(c cell) string { return c.mix })
		fmt.Fprintf(w, "  %s", g)
		for _, m := range mixes {
			fmt.Fprintf(w, "\t%s", m)
		}
		fmt.Fprintln(w)
		for _, name := range distinct(filter(lookup, inGroup), func(c cell) string { return c.name }) {
			if name != gabion {
				printRatio(w, "lookup, "+name+" : gabion", filter(lookup, inGroup), name, gabion, mixes)
			}
		}
		for _, name := range distinct(filter(receive, inGroup), func(c cell) string { return c.name }) {
			switch name {
			case gabion:
				printRatio(w, "receive, gabion : bare", filter(receive, inGroup), gabion, bare, mixes)
			case bare:
			default:
				printRatio(w, "receive, "+name+" : gabion", filter(receive, inGroup), name, gabion, mixes)
			}
		}
	}
}

func printRatio(w io.Writer, title string, cells []cell, of, to string, mixes []string) {
	fmt.Fprintf(w, "    %s", title)
	for _, m := range mixes {
		a, haveA := find(cells, of, m)
		b, haveB := find(cells, to, m)
		if !haveA || !haveB {
			fmt.Fprint(w, "\t-")
			continue
		}
		fmt.Fprintf(w, "\t%s", ratio(a.ns, b.ns))
	}
	fmt.Fprintln(w)
}

// ratio has no answer when the divisor is lost in the noise of the loop that was subtracted.
func ratio(a, b float64) string {
	if b <= 0 || a <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.3gx", a/b)
}

func find(cells []cell, name, mix string) (cell, bool) {
	i := slices.IndexFunc(cells, func(c cell) bool { return c.name == name && c.mix == mix })
	if i < 0 {
		return cell{}, false
	}
	return cells[i], true
}

func filter(cells []cell, keep func(cell) bool) []cell {
	var out []cell
	for _, c := range cells {
		if keep(c) {
			out = append(out, c)
		}
	}
	return out
}

// distinct returns the different keys in the order of their first appearance.
func distinct[K comparable](cells []cell, key func(cell) K) []K {
	var out []K
	for _, c := range cells {
		if k := key(c); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// thousands writes 1000000 as 1,000,000.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
