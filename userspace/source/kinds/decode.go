package kinds

import (
	"errors"
	"path/filepath"
	"regexp"

	"gabion/userspace/source"
	"gabion/userspace/source/file"
	"gabion/userspace/source/journald"
	"gabion/userspace/source/kernel"
	"gabion/userspace/yamlpos"
)

// common are the keys of every source.
type common struct {
	Keys   yamlpos.Mapping   `yaml:",mapping"`
	Source string            `yaml:"source"`
	Labels map[string]string `yaml:"labels"`
	Mode   yamlpos.Text      `yaml:"mode"` // tail; nothing else follows a source
	Name   string            `yaml:"name"` // a note for people
}

// check adds what is wrong with the common keys.
func (c *common) check(errs *yamlpos.Errors) {
	if c.Labels["type"] == "" {
		errs.Add(c.Keys.Key("labels"), c.Keys.Key("labels").Errorf(
			"label \"type\" is missing: it says which parsers read the lines, for example labels: {type: syslog}"))
	}
	if c.Mode.Set && c.Mode.Text != "tail" {
		errs.Add(c.Mode.Pos, c.Mode.Errorf(0, "mode %q is not supported: a source is followed (tail); a finished log is read with gabion replay", c.Mode.Text))
	}
}

type fileKeys struct {
	common `yaml:",inline"`

	Filename  yamlpos.Text     `yaml:"filename"`
	Filenames []yamlpos.Text   `yaml:"filenames"`
	Exclude   []yamlpos.Text   `yaml:"exclude_regexps"`
	PollOnly  bool             `yaml:"poll_without_inotify"`
	MaxLine   int              `yaml:"max_buffer_size"`
	From      yamlpos.Text     `yaml:"from"`          // end or start: where to begin in files that are there at the very first start
	Poll      yamlpos.Duration `yaml:"poll_interval"` // how often files are looked at besides inotify
	MaxFiles  int              `yaml:"max_files"`

	// What these ask for is always so.
	ForceInotify  bool             `yaml:"force_inotify"`
	DiscoveryPoll bool             `yaml:"discovery_poll_enable"`
	DiscoveryTime yamlpos.Duration `yaml:"discovery_poll_interval"`
}

func newFile(doc *yamlpos.Document, deps Deps) (source.Source, error) {
	var keys fileKeys
	errs := decode(doc, &keys)
	keys.check(&errs)
	cfg := file.Config{
		Labels: keys.Labels, PollOnly: keys.PollOnly, Poll: keys.Poll.Std(), MaxLine: keys.MaxLine, MaxFiles: keys.MaxFiles,
		Offsets: deps.Offsets, Log: deps.Log, Now: deps.Now,
	}
	patterns := keys.Filenames
	if keys.Filename.Set {
		patterns = append(patterns, keys.Filename)
	}
	if len(patterns) == 0 && len(errs) == 0 {
		errs.Add(keys.Keys.Pos(), errors.New("no file to follow: name some under filenames"))
	}
	for _, p := range patterns {
		if _, err := filepath.Match(p.Text, ""); err != nil || p.Text == "" {
			errs.Add(p.Pos, p.Errorf(0, "bad pattern %q: write a path, with *, ? and [abc] for what varies", p.Text))
		}
		cfg.Patterns = append(cfg.Patterns, p.Text)
	}
	for _, x := range keys.Exclude {
		re, err := regexp.Compile(x.Text)
		if err != nil {
			errs.Add(x.Pos, x.Errorf(0, "bad regular expression: %v", err))
			continue
		}
		cfg.Exclude = append(cfg.Exclude, re)
	}
	switch keys.From.Text {
	case "", "end":
	case "start", "beginning":
		cfg.From = file.Beginning
	default:
		errs.Add(keys.From.Pos, keys.From.Errorf(0, "from is %q, want end or start", keys.From.Text))
	}
	for name, value := range map[string]int{"max_buffer_size": keys.MaxLine, "max_files": keys.MaxFiles, "poll_interval": int(keys.Poll)} {
		if value < 0 {
			errs.Add(keys.Keys.Key(name), errors.New(name+" is negative"))
		}
	}
	const most = 16 << 20
	if keys.MaxLine > most {
		errs.Add(keys.Keys.Key("max_buffer_size"), errors.New("max_buffer_size is above 16777216 bytes"))
	}
	if len(errs) > 0 {
		errs.Sort()
		return nil, errs
	}
	s, err := file.New(cfg)
	return placed(s, keys.Keys, err)
}

type journaldKeys struct {
	common `yaml:",inline"`

	Filter  []yamlpos.Text `yaml:"journalctl_filter"`
	MaxLine int            `yaml:"max_buffer_size"`
}

func newJournald(doc *yamlpos.Document, deps Deps) (source.Source, error) {
	var keys journaldKeys
	errs := decode(doc, &keys)
	keys.check(&errs)
	cfg := journald.Config{Labels: keys.Labels, StateDir: deps.StateDir, MaxLine: keys.MaxLine, Log: deps.Log, Now: deps.Now}
	for _, arg := range keys.Filter {
		cfg.Filter = append(cfg.Filter, arg.Text)
	}
	if at, err := journald.CheckFilter(cfg.Filter); err != nil {
		pos := keys.Keys.Key("journalctl_filter")
		if at < len(keys.Filter) {
			pos = keys.Filter[at].Pos
		}
		errs.Add(pos, err)
	}
	if len(errs) > 0 {
		errs.Sort()
		return nil, errs
	}
	s, err := journald.New(cfg)
	return placed(s, keys.Keys, err)
}

type kernelKeys struct {
	common `yaml:",inline"`
}

func newKernel(doc *yamlpos.Document, deps Deps) (source.Source, error) {
	var keys kernelKeys
	errs := decode(doc, &keys)
	switch keys.Labels["type"] {
	case "", "kernel":
		keys.Labels = withType(keys.Labels)
	default:
		errs.Add(keys.Keys.Key("labels"), errors.New(`label "type" of a kernel source is always kernel`))
	}
	keys.check(&errs)
	if len(errs) > 0 {
		errs.Sort()
		return nil, errs
	}
	s, err := kernel.New(kernel.Config{Stream: deps.KernelEvents, Labels: keys.Labels, Now: deps.Now})
	return placed(s, keys.Keys, err)
}

func withType(labels map[string]string) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	labels["type"] = "kernel"
	return labels
}

// decode reads the keys of a source and returns what is wrong with them.
func decode(doc *yamlpos.Document, keys any) yamlpos.Errors {
	var errs yamlpos.Errors
	if err := doc.Decode(keys); err != nil {
		errs.Add(doc.Pos(), err)
	}
	return errs
}

// placed gives the error of a constructor the position of the source.
func placed[S source.Source](s S, keys yamlpos.Mapping, err error) (source.Source, error) {
	if err != nil {
		var errs yamlpos.Errors
		errs.Add(keys.Pos(), err)
		return nil, errs
	}
	return s, nil
}
