package parse

import (
	"gabion/userspace/ruledoc"
	"gabion/userspace/yamlpos"
)

// document is a node as a file writes it: the complete list of keys, for a document and for every
// node below it.
type document struct {
	At            yamlpos.Mapping    `yaml:",mapping"`
	Format        ruledoc.Format     `yaml:"format"`
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
	Data          []ruledoc.DataFile `yaml:"data"`
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

// nameless says that the document describes nothing: such documents are left out silently.
func (d *document) nameless() bool {
	return d.Name.Text == "" && d.Author == "" && d.Description == ""
}

// empty says that the node would do nothing.
func (d *document) empty() bool {
	w := d.Whitelist
	return d.Grok == nil && len(d.Nodes) == 0 && len(d.Statics) == 0 && (w == nil || len(w.IP)+len(w.CIDR)+len(w.Expressions) == 0)
}
