package rules

import (
	"cmp"
	"math"
	"path"
	"slices"
	"strings"

	"gabion/userspace/parse"
	"gabion/userspace/yamlpos"
)

// document is a YAML document of which is known what it is.
type document struct {
	doc    *yamlpos.Document
	source int
	kind   Kind
	name   string
	stage  string
	end    int // line at which the next document of the file begins

	hash, version string // of the file, when it was published
}

// Document is a YAML document of which is known what it is.
type Document struct {
	*yamlpos.Document
	Kind   Kind
	Name   string
	Stage  string // of a parser or post-overflow rule
	Source int    // index of the source that it was read from
}

// Read reads the documents of all sources, in the order in which they take effect, and compiles
// none. The error is yamlpos.Errors with the documents that cannot be told.
func Read(sources []Source) ([]Document, error) {
	docs, errs := read(sources)
	out := make([]Document, len(docs))
	for i, d := range docs {
		out[i] = Document{d.doc, d.kind, d.name, d.stage, d.source}
	}
	return out, errs.Err()
}

func read(sources []Source) ([]*document, yamlpos.Errors) {
	files, errs := readFiles(sources)
	var docs []*document
	for _, f := range files {
		found, err := classify(f)
		errs.Add(yamlpos.Position{File: f.name}, err)
		if published := sources[f.source].Published; published != nil {
			hash, version := published(f.path, f.data)
			for _, d := range found {
				d.hash, d.version = hash, version
			}
		}
		docs = append(docs, found...)
	}
	return effective(docs), errs
}

// header is what of a document decides about its kind. The other keys are decoded later.
type header struct {
	At    yamlpos.Mapping `yaml:",mapping"`
	Type  yamlpos.Text    `yaml:"type"`
	Name  yamlpos.Text    `yaml:"name"`
	Stage yamlpos.Text    `yaml:"stage"`
}

// classify splits a file into documents and says what each is.
func classify(f file) ([]*document, error) {
	if place(f.path).foreign {
		return nil, nil
	}
	parsed, err := yamlpos.Parse(f.name, f.data)
	var errs yamlpos.Errors
	errs.Add(yamlpos.Position{File: f.name}, err)
	var docs []*document
	for i, y := range parsed {
		d, err := classifyDocument(f, y)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.end = math.MaxInt
		if i+1 < len(parsed) {
			d.end = parsed[i+1].Pos().Line
		}
		docs = append(docs, d)
	}
	return docs, errs.Err()
}

func classifyDocument(f file, y *yamlpos.Document) (*document, *yamlpos.Error) {
	var h header
	_ = y.Decode(&h) // strict decoding by whoever compiles the document reports its faults
	d := &document{doc: y, source: f.source, name: h.Name.Text}
	at := place(f.path)
	switch {
	case at.kind != "" && at.stage != "":
		d.kind, d.stage = at.kind, at.stage
	case at.kind == Context || at.kind == "" && y.Has("context"):
		d.kind = Context
		d.name = cmp.Or(d.name, fileName(f.path))
	case h.Type.Text == "meter":
		d.kind = Meter
	case y.Has("type") || at.kind == Scenario && h.Stage.Text == "":
		d.kind = Scenario
	case h.Stage.Text == "":
		return nil, y.Pos().Errorf("neither a scenario or meter (key type) nor a parser (key stage, such as s01-parse)")
	default:
		d.kind, d.stage = cmp.Or(at.kind, Parser), h.Stage.Text
		if d.kind == Scenario {
			d.kind = Parser
		}
	}
	return d, nil
}

// location is what a path says about the documents of its file.
type location struct {
	kind    Kind
	stage   string
	foreign bool // a part of the hub that is no rule
}

// fileName names a document that has no name of its own by its file, as the hub does: author/name.
func fileName(p string) string {
	p = strings.TrimSuffix(p, path.Ext(p))
	return path.Join(path.Base(path.Dir(p)), path.Base(p))
}

// place reads the hub's layout out of a path: parsers/<stage>/, postoverflows/<stage>/, scenarios/,
// contexts/.
func place(p string) location {
	dirs := strings.Split(path.Dir(p), "/")
	for i, dir := range dirs {
		stage := ""
		if i+1 < len(dirs) {
			stage = dirs[i+1]
		}
		switch dir {
		case "parsers":
			return location{kind: Parser, stage: stage}
		case "postoverflows":
			return location{kind: PostOverflow, stage: stage}
		case "scenarios":
			return location{kind: Scenario}
		case "contexts":
			return location{kind: Context}
		case "collections", "appsec-rules", "appsec-configs":
			return location{foreign: true}
		}
	}
	return location{}
}

// effective returns the documents without those that a later source replaces.
func effective(docs []*document) []*document {
	type id struct {
		kind Kind
		name string
	}
	last := map[id]int{}
	for _, d := range docs {
		last[id{d.kind, d.name}] = d.source
	}
	return slices.DeleteFunc(docs, func(d *document) bool {
		return d.name != "" && d.source < last[id{d.kind, d.name}]
	})
}

// pipeline compiles the parsers or the post-overflow rules.
func (s *Set) pipeline(docs []*document, kind Kind, deps Deps, errs *yamlpos.Errors) *parse.Pipeline {
	var chosen []*document
	var in []parse.Doc
	for _, d := range docs {
		if d.kind == kind {
			chosen = append(chosen, d)
		}
	}
	for _, d := range chosen {
		in = append(in, parse.Doc{Document: d.doc, Stage: d.stage})
	}
	p, err := parse.Compile(in, parse.Deps{
		Expr: deps.Expr, Patterns: deps.Patterns, Methods: deps.Methods, Lib: deps.Lib, Log: deps.Log, Now: deps.Now,
	})
	var found yamlpos.Errors
	found.Add(yamlpos.Position{}, err)
	for _, d := range chosen {
		if !slices.ContainsFunc(found, d.covers) {
			s.Items = append(s.Items, Item{Kind: kind, Name: d.name, Stage: d.stage, Pos: d.doc.Pos()})
		}
	}
	*errs = append(*errs, found...)
	return p
}

// covers reports whether an error lies in the document.
func (d *document) covers(err *yamlpos.Error) bool {
	return err.File == d.doc.File() && err.Line >= d.doc.Pos().Line && err.Line < d.end
}
