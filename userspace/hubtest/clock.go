package hubtest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// assertedTime finds the year in an assertion about when an event happened; there is none where it
// leaves the year out.
var assertedTime = regexp.MustCompile(`(?:MarshaledTime|timestamp)"\W+(?:== "(2\d{3})-|\[4:\])`)

// clock returns the present as the test sees it. It matters for dates without a year, which are of
// the present year: the one in which the assertions were written, so that a test does not fail the
// year after. Of the years that assertions name, that is the last. Where one leaves the year out of
// the comparison, all do that it matters for.
func (t *test) clock() time.Time {
	now := t.options.Now.UTC()
	year := 0
	for _, name := range []string{parserFile, scenarioFile} {
		data, err := os.ReadFile(filepath.Join(t.dir, name))
		if err != nil {
			continue // whether the file is needed is judged elsewhere
		}
		for line := range bytes.Lines(data) {
			m := assertedTime.FindSubmatch(line)
			switch {
			case m == nil:
			case m[1] == nil:
				return now
			default:
				if y, err := strconv.Atoi(string(m[1])); err == nil && y <= now.Year() {
					year = max(year, y)
				}
			}
		}
	}
	if year == 0 || year == now.Year() || t.options.Update {
		return now
	}
	return time.Date(year, time.December, 31, 0, 0, 0, 0, time.UTC)
}
