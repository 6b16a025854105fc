package hubtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gabion/userspace/hub"
	"gabion/userspace/yamlpos"
)

// Names of the files of a test.
const (
	configFile   = "config.yaml"
	parserFile   = "parser.assert"
	scenarioFile = "scenario.assert"
)

// config is what a test's config.yaml says. Keys that are not listed are ignored, as the hub's own
// tool does: some tests have keys that nothing reads.
type config struct {
	parsers       []yamlpos.Text
	scenarios     []yamlpos.Text
	postOverflows []yamlpos.Text
	logFile       yamlpos.Text
	logType       yamlpos.Text
	labels        map[string]string
	ignoreParsers bool
	overrides     []map[string]any // statics
	ownData       bool
}

// lists returns the items that a test lists of each kind that it can install.
func (c *config) lists() map[hub.Kind][]yamlpos.Text {
	return map[hub.Kind][]yamlpos.Text{
		hub.Parser: c.parsers, hub.PostOverflow: c.postOverflows, hub.Scenario: c.scenarios,
	}
}

func readConfig(dir string) (*config, error) {
	file := filepath.Join(dir, configFile)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read test: %w", err)
	}
	docs, err := yamlpos.Parse(file, data)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, fmt.Errorf("%s: want one YAML document, found %d", file, len(docs))
	}
	var keys map[string]*yamlpos.Document
	if err := docs[0].Decode(&keys); err != nil {
		return nil, err
	}
	c := &config{}
	var errs yamlpos.Errors
	for key, to := range map[string]any{
		"parsers": &c.parsers, "scenarios": &c.scenarios, "postoverflows": &c.postOverflows,
		"log_file": &c.logFile, "log_type": &c.logType, "labels": &c.labels,
		"ignore_parsers": &c.ignoreParsers, "override_statics": &c.overrides, "own_data_dir": &c.ownData,
	} {
		if value := keys[key]; value != nil {
			errs.Add(value.Pos(), value.Decode(to))
		}
	}
	if c.logFile.Text == "" {
		errs.Add(docs[0].Pos(), errors.New("a test needs a log_file: tests of a WAF, with nuclei_template, are not run here"))
	} else if !filepath.IsLocal(c.logFile.Text) {
		errs.Add(c.logFile.Pos, errors.New("log_file must be in the folder of the test"))
	}
	errs.Sort()
	return c, errs.Err()
}

// countsParsers reports whether parser.assert is evaluated.
func (c *config) countsParsers() bool { return !c.ignoreParsers }

// countsScenarios reports whether scenario.assert is evaluated: there must be a scenario.
func (c *config) countsScenarios() bool {
	for _, s := range c.scenarios {
		if s.Text != "" {
			return true
		}
	}
	return false
}
