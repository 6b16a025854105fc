package parse

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"gabion/userspace/enrich"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/ruledoc"
	"gabion/userspace/yamlpos"
)

// Deps is what parsers need. All fields but Lib are required.
type Deps struct {
	Expr     *expr.Compiler
	Patterns *grok.Set // copied: patterns of the documents are added to the pipeline's own set
	Methods  map[string]enrich.Method
	Lib      *exprlib.Lib // nil: data files are not loaded and stashes are refused
	Log      *slog.Logger
	Now      func() time.Time // wall clock: the time of events that come without one
}

// Doc is one YAML document and the stage that its place in the folder gives it.
type Doc struct {
	Document *yamlpos.Document
	Stage    string
}

// Compile compiles documents into a pipeline. A document with a fault is left out and all its
// faults are in the error, which is a yamlpos.Errors; the pipeline of the others is returned with
// it. Nodes run by stage, then base name of the file, path, and order in the file.
func Compile(docs []Doc, deps Deps) (*Pipeline, error) {
	docs = slices.Clone(docs)
	slices.SortStableFunc(docs, func(a, b Doc) int {
		fa, fb := a.Document.File(), b.Document.File()
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(path.Base(fa), path.Base(fb)), cmp.Compare(fa, fb))
	})
	p := newPipeline(deps)
	patterns := deps.Patterns.Clone()
	var errs yamlpos.Errors
	for _, d := range docs {
		c := compiler{deps: deps, patterns: patterns.Clone(), stage: d.Stage}
		n := c.document(d.Document)
		errs = append(errs, c.errs...)
		if n == nil || len(c.errs) > 0 {
			continue
		}
		patterns = c.patterns
		p.add(n)
		if deps.Lib != nil {
			deps.Lib.LoadDeclared(c.data)
		}
	}
	p.defined = patterns
	p.prepare()
	return p, errs.Err()
}

// compiler compiles one document.
type compiler struct {
	deps     Deps
	patterns *grok.Set
	stage    string
	errs     yamlpos.Errors
	data     []ruledoc.DataFile
}

// document compiles a whole document; nil when it is to be left out.
func (c *compiler) document(doc *yamlpos.Document) *node {
	var d Document
	c.errs.Add(doc.Pos(), doc.Decode(&d))
	decoded := len(c.errs) == 0
	if c.stage == "" {
		c.errs.Add(doc.Pos(), errors.New("parser has no stage: put it below a stage folder or give it a stage key"))
	}
	if d.nameless() && decoded {
		c.deps.Log.Info("parser document without name left out", "file", doc.Pos().String())
		return nil
	}
	return c.node(&d, nil)
}

// node compiles a node and those below it, noting every fault on the way.
func (c *compiler) node(d *Document, parent *node) *node {
	n := &node{name: d.Name.Text, stage: c.stage, pos: d.At.Pos()}
	if n.name == "" && parent != nil {
		n.name = "child-" + parent.name
	}
	if parent != nil {
		n.depth = parent.depth + 1
	}
	if d.Filter.Text != "" {
		n.filter = c.expression(d.Filter, expr.Bool)
		if n.filter != nil {
			n.requires = n.filter.Requires()
			n.checks = expr.NewChecks(n.requires)
			n.writes = strings.Contains(d.Filter.Text, "SetMeta") || strings.Contains(d.Filter.Text, "SetParsed")
		}
	}
	c.addPatterns(d.PatternSyntax)
	if d.Grok != nil {
		n.grok = c.grok(d.Grok)
	}
	for i := range d.Stash {
		n.stashes = append(n.stashes, c.stash(&d.Stash[i]))
	}
	for i := range d.Nodes {
		n.children = append(n.children, c.node(&d.Nodes[i], n))
	}
	newSiblings(n.children)
	n.statics = c.statics(d.Statics)
	if d.Whitelist != nil {
		n.whitelist = c.whitelist(d.Whitelist)
	}
	switch d.OnSuccess.Text {
	case "", "continue":
	case "next_stage":
		n.nextStage = true
	default:
		c.errs = append(c.errs, d.OnSuccess.Errorf(0, "onsuccess %q: want continue or next_stage", d.OnSuccess.Text))
	}
	if d.empty() {
		c.missing(d.At, "node does nothing: it needs grok, nodes, statics or whitelist", "grok", "nodes", "statics", "whitelist")
	}
	c.data = append(c.data, d.Data...)
	return n
}

// missing notes that a mapping lacks keys of which it needs one, unless decoding said already what
// is wrong with one of them.
func (c *compiler) missing(at yamlpos.Mapping, message string, keys ...string) {
	if !slices.ContainsFunc(keys, at.Faulty) {
		c.errs = append(c.errs, at.Pos().Errorf("%s", message))
	}
}

// unknownPattern adds to an error about a pattern that is not defined which one may be meant.
func (c *compiler) unknownPattern(err error) error {
	var unknown *grok.UnknownPatternError
	if errors.As(err, &unknown) {
		if near := yamlpos.Nearest(unknown.Name, c.patterns.Names()); near != "" {
			return fmt.Errorf("unknown pattern %q: did you mean %q?", unknown.Name, near)
		}
	}
	return err
}

// expression compiles src; nil after noting its fault.
func (c *compiler) expression(src yamlpos.Text, want expr.Kind) *expr.Program {
	p, err := c.deps.Expr.Compile(src, expr.EnvEvent, want)
	c.errs.Add(src.Pos, err)
	if err != nil {
		return nil
	}
	return p
}

// addPatterns registers patterns for this and the following documents. The first definition of a
// name stays, so that a file cannot change what others mean.
func (c *compiler) addPatterns(pairs yamlpos.OrderedMap) {
	for _, pair := range pairs {
		err := c.patterns.Add(pair.Key.Text, pair.Value.Text)
		if errors.Is(err, grok.ErrDefined) {
			if c.patterns.Text(pair.Key.Text) != pair.Value.Text {
				c.deps.Log.Warn("grok pattern keeps its first definition", "pattern", pair.Key.Text, "file", pair.Key.Pos.String())
			}
			continue
		}
		c.errs.Add(pair.Value.Pos, c.unknownPattern(err))
	}
}
