package datafile

import (
	"fmt"
	"regexp"
)

// table is a data file of type map: rows that give a tag to the texts they match.
type table struct {
	rows     []map[string]string
	equals   map[string]string // pattern -> tag
	contains trie
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
	pattern, tag := row["pattern"], row["tag"]
	switch row["type"] {
	case "equals":
		t.equals[pattern] = tag
	case "contains":
		t.contains.add(pattern, tag)
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
	if tag, ok := t.contains.find(text); ok {
		return tag
	}
	for _, r := range t.regexps {
		if r.re.MatchString(text) {
			return r.tag
		}
	}
	return ""
}

// trie finds which of many patterns a text contains.
type trie struct {
	root  trieNode
	count int
}

type trieNode struct {
	next map[byte]*trieNode
	row  int // of the pattern that ends here, from 1; 0 for none
	tag  string
}

func (t *trie) add(pattern, tag string) {
	t.count++
	n := &t.root
	for i := range len(pattern) {
		child := n.next[pattern[i]]
		if child == nil {
			child = &trieNode{}
			if n.next == nil {
				n.next = map[byte]*trieNode{}
			}
			n.next[pattern[i]] = child
		}
		n = child
	}
	if n.row == 0 {
		n.row, n.tag = t.count, tag
	}
}

// find returns the tag of the leftmost pattern in text; of several that begin there, the one
// declared first.
func (t *trie) find(text string) (string, bool) {
	if t.count == 0 {
		return "", false
	}
	for start := 0; start <= len(text); start++ {
		best := &trieNode{}
		n := &t.root
		for i := start; n != nil; i++ {
			if n.row != 0 && (best.row == 0 || n.row < best.row) {
				best = n
			}
			if i >= len(text) {
				break
			}
			n = n.next[text[i]]
		}
		if best.row != 0 {
			return best.tag, true
		}
	}
	return "", false
}
