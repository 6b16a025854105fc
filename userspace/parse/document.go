package parse

import (
	"gabion/userspace/ruledoc"
	"gabion/userspace/yamlpos"
)

// Document is a node as a file writes it: the complete list of keys, for a document and for every
// node below it.
type Document struct {
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
	Nodes         []Document         `yaml:"nodes"`
	PatternSyntax yamlpos.OrderedMap `yaml:"pattern_syntax"`
	Grok          *GrokDocument      `yaml:"grok"`
	Statics       []StaticDocument   `yaml:"statics"`
	Stash         []StashDocument    `yaml:"stash"`
	Whitelist     *WhitelistDocument `yaml:"whitelist"`
	Data          []ruledoc.DataFile `yaml:"data"`
}

// GrokDocument is the key grok: a pattern and what it is matched with.
type GrokDocument struct {
	At         yamlpos.Mapping  `yaml:",mapping"`
	Name       yamlpos.Text     `yaml:"name"`
	Pattern    yamlpos.Text     `yaml:"pattern"`
	ApplyOn    string           `yaml:"apply_on"`
	Expression yamlpos.Text     `yaml:"expression"`
	Statics    []StaticDocument `yaml:"statics"`
}

// StaticDocument is an entry of statics: a value and where it is stored.
type StaticDocument struct {
	At         yamlpos.Mapping `yaml:",mapping"`
	Method     string          `yaml:"method"`
	Parsed     string          `yaml:"parsed"`
	Meta       string          `yaml:"meta"`
	Enriched   string          `yaml:"enriched"`
	Target     string          `yaml:"target"`
	Value      string          `yaml:"value"`
	Expression yamlpos.Text    `yaml:"expression"`
}

// StashDocument is an entry of stash: what is remembered for later lines.
type StashDocument struct {
	At       yamlpos.Mapping  `yaml:",mapping"`
	Name     string           `yaml:"name"`
	Key      yamlpos.Text     `yaml:"key"`
	Value    yamlpos.Text     `yaml:"value"`
	TTL      yamlpos.Duration `yaml:"ttl"`
	Size     int              `yaml:"size"`
	Strategy string           `yaml:"strategy"`
}

// WhitelistDocument is the key whitelist: which events are harmless.
type WhitelistDocument struct {
	At          yamlpos.Mapping `yaml:",mapping"`
	Reason      string          `yaml:"reason"`
	IP          []yamlpos.Text  `yaml:"ip"`
	CIDR        []yamlpos.Text  `yaml:"cidr"`
	Expressions []yamlpos.Text  `yaml:"expression"`
}

// nameless says that the document describes nothing: such documents are left out silently.
func (d *Document) nameless() bool {
	return d.Name.Text == "" && d.Author == "" && d.Description == ""
}

// empty says that the node would do nothing.
func (d *Document) empty() bool {
	w := d.Whitelist
	return d.Grok == nil && len(d.Nodes) == 0 && len(d.Statics) == 0 && (w == nil || len(w.IP)+len(w.CIDR)+len(w.Expressions) == 0)
}
