package parse

import (
	"strconv"

	"gabion/userspace/yamlpos"
)

// document is a node as a file writes it: the complete list of keys, for a document and for every
// node below it.
type document struct {
	At            yamlpos.Mapping    `yaml:",mapping"`
	Format        yamlpos.Text       `yaml:"format"`
	Name          yamlpos.Text       `yaml:"name"`
	Author        string             `yaml:"author"`
	Description   string             `yaml:"description"`
	References    []string           `yaml:"references"`
	Debug         bool               `yaml:"debug"`
	Profiling     bool               `yaml:"profiling"`
	Stage         string             `yaml:"stage"` // decided by whoever loads the file
	OnSuccess     yamlpos.Text       `yaml:"onsuccess"`
	Filter        yamlpos.Text       `yaml:"filter"`
	Nodes         []document         `yaml:"nodes"`
	PatternSyntax yamlpos.OrderedMap `yaml:"pattern_syntax"`
	Grok          *grokDocument      `yaml:"grok"`
	Statics       []staticDocument   `yaml:"statics"`
	Stash         []stashDocument    `yaml:"stash"`
	Whitelist     *whitelistDocument `yaml:"whitelist"`
	Data          []dataDocument     `yaml:"data"`
}

type grokDocument struct {
	At         yamlpos.Mapping  `yaml:",mapping"`
	Name       yamlpos.Text     `yaml:"name"`
	Pattern    yamlpos.Text     `yaml:"pattern"`
	ApplyOn    string           `yaml:"apply_on"`
	Expression yamlpos.Text     `yaml:"expression"`
	Statics    []staticDocument `yaml:"statics"`
}

type staticDocument struct {
	At         yamlpos.Mapping `yaml:",mapping"`
	Method     string          `yaml:"method"`
	Parsed     string          `yaml:"parsed"`
	Meta       string          `yaml:"meta"`
	Enriched   string          `yaml:"enriched"`
	Target     string          `yaml:"target"`
	Value      string          `yaml:"value"`
	Expression yamlpos.Text    `yaml:"expression"`
}

type stashDocument struct {
	At       yamlpos.Mapping  `yaml:",mapping"`
	Name     string           `yaml:"name"`
	Key      yamlpos.Text     `yaml:"key"`
	Value    yamlpos.Text     `yaml:"value"`
	TTL      yamlpos.Duration `yaml:"ttl"`
	Size     int              `yaml:"size"`
	Strategy string           `yaml:"strategy"`
}

type whitelistDocument struct {
	Reason      string         `yaml:"reason"`
	IP          []yamlpos.Text `yaml:"ip"`
	CIDR        []yamlpos.Text `yaml:"cidr"`
	Expressions []yamlpos.Text `yaml:"expression"`
}

type dataDocument struct {
	At        yamlpos.Mapping  `yaml:",mapping"`
	SourceURL string           `yaml:"source_url"`
	DestFile  string           `yaml:"dest_file"`
	Type      string           `yaml:"type"`
	Cache     *bool            `yaml:"cache"`
	Strategy  string           `yaml:"strategy"`
	Size      int              `yaml:"size"`
	TTL       yamlpos.Duration `yaml:"ttl"`
}

// nameless says that the document describes nothing: such documents are left out silently.
func (d *document) nameless() bool {
	return d.Name.Text == "" && d.Author == "" && d.Description == ""
}

// empty says that the node would do nothing.
func (d *document) empty() bool {
	w := d.Whitelist
	return d.Grok == nil && len(d.Nodes) == 0 && len(d.Statics) == 0 && (w == nil || len(w.IP)+len(w.CIDR)+len(w.Expressions) == 0)
}

// checkFormat returns an error unless the document's format is one that is read here.
func (d *document) checkFormat() error {
	if !d.Format.Set {
		return nil
	}
	if f, err := strconv.ParseFloat(d.Format.Text, 64); err != nil || !(f >= 1 && f <= 3) {
		return d.Format.Errorf(0, "format %q is not supported: want 1.0 to 3.0", d.Format.Text)
	}
	return nil
}
