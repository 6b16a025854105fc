package datafile

import (
	"fmt"
	"regexp"

	"gabion/userspace/search"
)

// table is a data file of type map: rows that give a tag to the texts they match.
type table struct {
	rows     []map[string]string
	equals   map[string]string // pattern -> tag
	contains *search.Words
	words    []string // of contains
	tags     []string // of words
	regexps  []taggedRegexp
}

type taggedRegexp struct {
	re  *regexp.Regexp
	tag string
}

func newTable() *table { return &table{rows: []map[string]string{}, equals: map[string]string{}} }

func (t *table) add(row map[string]string) error {
	for _, key := range []string{"pattern", "tag", "type"} {
		if _, ok := row[key]; !ok {
			return fmt.Errorf("row lacks %q", key)
		}
	}
	if len(t.rows) == maxLines {
		return errFull
	}
	pattern, tag := row["pattern"], row["tag"]
	switch row["type"] {
	case "equals":
		t.equals[pattern] = tag
	case "contains":
		t.words, t.tags = append(t.words, pattern), append(t.tags, tag)
	case "regex":
		// A pattern that is none matches nothing; the other rows still count.
		if re, err := regexp.Compile(pattern); err == nil {
			t.regexps = append(t.regexps, taggedRegexp{re, tag})
		}
	default:
		return fmt.Errorf("row has type %q: use equals, contains or regex", row["type"])
	}
	t.rows = append(t.rows, row)
	return nil
}

// lookup returns the tag of the first match: of an equal pattern, of the leftmost contained one, of
// a regular expression in order of rows; or "".
func (t *table) lookup(text string) string {
	if tag, ok := t.equals[text]; ok {
		return tag
	}
	if i := t.contains.First(text); i >= 0 {
		return t.tags[i]
	}
	for _, r := range t.regexps {
		if r.re.MatchString(text) {
			return r.tag
		}
	}
	return ""
}
