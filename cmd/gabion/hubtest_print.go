package main

import (
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"gabion/userspace/hubtest"
)

// maxFailures is how many failed assertions of one test a table shows.
const maxFailures = 20

func printHubtest(w io.Writer, r *hubtest.Report) error {
	var rows [][]string
	for _, t := range r.NotPassed {
		if len(t.Failures) == 0 {
			rows = append(rows, []string{t.Test, string(t.Outcome), "", t.Reason, ""})
		}
		for i, f := range t.Failures {
			if i == maxFailures {
				rows = append(rows, []string{t.Test, string(t.Outcome), "", fmt.Sprintf("and %d more", len(t.Failures)-i), ""})
				break
			}
			what, actual := differing(f.Expected, f.Actual)
			switch {
			case f.Error != "":
				what, actual = f.Error, narrow(f.Assertion)
			case what == "":
				what = narrow(f.Assertion)
			}
			rows = append(rows, []string{t.Test, string(t.Outcome), f.File + ":" + strconv.Itoa(f.Line), what, actual})
		}
	}
	if err := table(w, "Every test passed.", []string{"TEST", "RESULT", "ASSERTION", "EXPECTED", "ACTUAL"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s: %d passed, %d failed, %d lack data; %s in %.1f s.\n",
		count(uint64(r.Tests), "test"), r.Passed, r.Failed, r.MissingData, count(uint64(r.Assertions), "assertion"), r.Seconds)
	return err
}

// Widths of what a table shows of long values, in bytes.
const (
	maxCell = 72 // of one value
	maxLead = 12 // in front of where two values differ
)

// differing returns two values as a table shows them: of long ones the part where they begin to
// differ.
func differing(a, b string) (string, string) {
	if len(a) > maxCell || len(b) > maxCell {
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		from := n - maxLead
		for from > 0 && !utf8.RuneStart(a[from]) {
			from--
		}
		if from > 0 {
			a, b = "..."+a[from:], "..."+b[from:]
		}
	}
	return narrow(a), narrow(b)
}

// narrow cuts a value to the width of a table's cell.
func narrow(s string) string {
	if len(s) <= maxCell {
		return s
	}
	end := maxCell
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}
