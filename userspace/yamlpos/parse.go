package yamlpos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is accepted.
const (
	maxBytes     = 2 << 20 // of a file; reading it takes up to 200 times that in memory
	maxDepth     = 64      // of nested lists and mappings
	maxExpansion = 100_000 // values that aliases add to those written out
	maxErrors    = 200     // reported for one document
)

// Document is one YAML document of a file, or one value of a document: a struct field of type
// *Document receives the value undecoded.
type Document struct {
	src  *source
	node *yaml.Node
}

// Parse splits a file into its documents. Empty documents are left out. When the file is not YAML
// the documents before the fault are returned with the error, which is an Errors.
func Parse(file string, data []byte) ([]*Document, error) {
	src := newSource(file, data)
	if len(data) > maxBytes {
		return nil, Errors{src.position(0, 0).Errorf("file is larger than %d MiB", maxBytes>>20)}
	}
	if i := invalidUTF8(src.text); i >= 0 {
		line, col := src.locate(i)
		return nil, Errors{src.position(line, col).Errorf("text is not UTF-8")}
	}
	var docs []*Document
	var errs Errors
	dec := yaml.NewDecoder(strings.NewReader(src.text))
	for {
		root, err := next(dec)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			errs = append(errs, src.syntaxError(err))
			break
		}
		if len(root.Content) != 1 || isNull(root.Content[0]) {
			continue
		}
		doc := &Document{src: src, node: root.Content[0]}
		if err := doc.checkBounds(); err != nil {
			errs = append(errs, err)
			continue
		}
		docs = append(docs, doc)
	}
	return docs, errs.Err()
}

// DecodeFile decodes a file that holds one document, such as a configuration file. An empty file
// leaves v as it is.
func DecodeFile(file string, data []byte, v any) error {
	docs, err := Parse(file, data)
	switch {
	case err != nil:
		return err
	case len(docs) == 0:
		return nil
	case len(docs) > 1:
		return Errors{docs[1].Pos().Errorf("file holds a second document: write one document, without ---")}
	}
	return docs[0].Decode(v)
}

// File returns the name of the file the document is from.
func (d *Document) File() string { return d.src.file }

// Pos returns where the document begins.
func (d *Document) Pos() Position { return d.pos(d.node) }

// Has reports whether the document is a mapping with the key at its top level.
func (d *Document) Has(key string) bool {
	n := resolveAlias(d.node)
	if n.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := resolveAlias(n.Content[i]); k.Kind == yaml.ScalarNode && k.Value == key {
			return true
		}
	}
	return false
}

// Items returns the values of a list, and of anything else the document itself, for keys that take
// one value or many. Null has none.
func (d *Document) Items() []*Document {
	n := resolveAlias(d.node)
	if n.Kind != yaml.SequenceNode {
		if isNull(n) {
			return nil
		}
		return []*Document{d}
	}
	out := make([]*Document, len(n.Content))
	for i, c := range n.Content {
		out[i] = &Document{src: d.src, node: c}
	}
	return out
}

func (d *Document) pos(n *yaml.Node) Position { return d.src.position(n.Line, n.Column) }

// checkBounds refuses nesting, alias expansion and anchors that contain themselves before anything
// walks the document.
func (d *Document) checkBounds() *Error {
	w := boundsWalk{sizes: map[*yaml.Node]int{}}
	expanded := w.size(d.node, 0)
	switch {
	case w.cycle != nil:
		return d.pos(w.cycle).Errorf("anchor %q contains itself", w.cycle.Value)
	case w.deep != nil:
		return d.pos(w.deep).Errorf("nested deeper than %d levels", maxDepth)
	case expanded-len(w.sizes) > maxExpansion:
		return d.Pos().Errorf("aliases expand to more than %d values", maxExpansion)
	}
	return nil
}

// boundsWalk computes the size of nodes with all aliases expanded, visiting each node once.
type boundsWalk struct {
	sizes       map[*yaml.Node]int // -1 while the node is being walked
	cycle, deep *yaml.Node
}

func (w *boundsWalk) size(n *yaml.Node, depth int) int {
	const saturated = 1 << 40
	if depth > maxDepth {
		w.deep = n
	}
	if w.deep != nil || w.cycle != nil {
		return 0
	}
	if n.Kind == yaml.AliasNode {
		if w.sizes[n.Alias] < 0 {
			w.cycle = n
			return 0
		}
		return w.size(n.Alias, depth)
	}
	if s, ok := w.sizes[n]; ok {
		return s
	}
	w.sizes[n] = -1
	total := 1
	for _, c := range n.Content {
		total = min(total+w.size(c, depth+1), saturated)
	}
	w.sizes[n] = total
	return total
}

// syntaxError turns an error of the YAML library into one with a position.
func (s *source) syntaxError(err error) *Error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, msg = n, text
		}
	}
	if rest, ok := strings.CutPrefix(msg, "unknown anchor '"); ok {
		name := strings.TrimSuffix(rest, "' referenced")
		pos := s.position(0, 0)
		if i := strings.Index(s.text, "*"+name); i >= 0 {
			pos = s.position(s.locate(i))
		}
		return pos.Errorf("unknown anchor %q", shorten(name))
	}
	line = max(line, s.firstBadLine(), 1)
	if indent := s.indent(line); strings.Contains(indent, "\t") {
		return s.position(line, strings.Index(indent, "\t")+1).Errorf("tab in indentation: indent with spaces")
	}
	return s.position(line, 0).Errorf("not YAML: %s", msg)
}

// firstBadLine returns the line after the longest run of lines that is YAML by itself, or 0 when
// finding it would cost too much. The library often names the line where the enclosing mapping
// begins, which may be far above the fault.
func (s *source) firstBadLine() int {
	budget := 4 << 20
	for n := len(s.lines) - 1; n > 0; n-- {
		end := s.lines[n]
		if budget -= end; budget < 0 {
			return 0
		}
		if isYAML(s.text[:end]) {
			return n + 1
		}
	}
	return 1
}

func isYAML(text string) bool {
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := next(dec); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// next reads one document. A panic of the library is a fault of the file, not of the program.
func next(dec *yaml.Decoder) (n *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	n = new(yaml.Node)
	return n, dec.Decode(n)
}

func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// source is the text of a file with the offset of each line.
type source struct {
	file  string
	text  string
	lines []int // byte offset of the start of each line
}

func newSource(file string, data []byte) *source {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	s := &source{file: file, text: string(data), lines: []int{0}}
	for i := 0; i < len(s.text); {
		n := breakLen(s.text[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		s.lines = append(s.lines, i)
	}
	return s
}

// breakLen returns the length of the line break that text begins with, in the sense of YAML 1.1.
func breakLen(text string) int {
	switch {
	case strings.HasPrefix(text, "\r\n"):
		return 2
	case strings.HasPrefix(text, "\n"), strings.HasPrefix(text, "\r"):
		return 1
	case strings.HasPrefix(text, "\u0085"):
		return 2
	case strings.HasPrefix(text, "\u2028"), strings.HasPrefix(text, "\u2029"):
		return 3
	}
	return 0
}

func (s *source) position(line, column int) Position {
	return Position{File: s.file, Line: line, Column: column}
}

// locate returns the line and column of a byte offset.
func (s *source) locate(offset int) (line, column int) {
	lo, hi := 0, len(s.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.lines[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + 1, utf8.RuneCountInString(s.text[s.lines[lo]:min(offset, len(s.text))]) + 1
}

// offset returns the byte offset of a line and column.
func (s *source) offset(line, column int) int {
	if line < 1 || line > len(s.lines) {
		return len(s.text)
	}
	i := s.lines[line-1]
	for ; column > 1 && i < len(s.text); column-- {
		_, n := utf8.DecodeRuneInString(s.text[i:])
		i += n
	}
	return i
}

// indent returns the white space that a line begins with.
func (s *source) indent(line int) string {
	rest := s.text[s.offset(line, 1):]
	return rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))]
}

// kindName names what a node is, for messages.
func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if isNull(n) {
		return "nothing"
	}
	return fmt.Sprintf("%q", shorten(n.Value))
}

// shorten cuts text that is quoted in a message.
func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
