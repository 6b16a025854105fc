package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// Values of --output.
const (
	outputHuman = "human"
	outputJSON  = "json"
)

// show prints v as JSON when that was asked for, and otherwise lets human print it.
func (a *app) show(v any, human func(io.Writer) error) error {
	if a.output == outputHuman {
		return human(a.stdout)
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// table prints rows under a header, or the sentence empty when there are none. An
// empty cell shows as a dash.
func table(w io.Writer, empty string, header []string, rows [][]string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, empty)
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, printable(orText(cell, "-"), oneLine))
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// fields prints "name: value" lines with the values aligned; empty values are left out.
func fields(w io.Writer, pairs ...string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(tw, "%s:\t%s\n", pairs[i], printable(pairs[i+1], oneLine))
		}
	}
	return tw.Flush()
}

// What printable does with line breaks.
const (
	oneLine   = false
	keepLines = true
)

// printable makes text from outside safe for a terminal: control and format characters, which could
// move the cursor, recolour or reorder what is shown, and bytes that are not UTF-8 are escaped.
func printable(s string, lines bool) string {
	safe := func(r rune) bool {
		return r == '\n' && lines || r == ' ' || r != utf8.RuneError && unicode.IsPrint(r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case safe(r):
			b.WriteRune(r)
		case r == utf8.RuneError || r < 0x80:
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// left says how long from now to t, to the second; "expired" when t is past, "no end" when it is zero.
func left(t, now time.Time) string {
	if t.IsZero() {
		return "no end"
	}
	d := t.Sub(now).Round(time.Second)
	if d <= 0 {
		return "expired"
	}
	return d.String()
}

// localTime prints a point in time as people read it: local, to the second.
func localTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// wireTime prints a time that came as RFC 3339 text; what cannot be read is shown as it is.
func wireTime(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	return localTime(t)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
