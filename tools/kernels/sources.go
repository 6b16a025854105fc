package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mirror is an archive that the machine's own apt takes packages from.
type mirror struct {
	uri     string
	keyring string // file that its signatures are checked with
}

// mirrors are the machine's Debian archives. What it has none of is the zero mirror.
type mirrors struct{ main, security mirror }

// debianKeyring is where Debian has the keys of all its releases, those that ended included.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// debianSuites are the names under which Debian publishes, as sources name them.
var debianSuites = []string{
	"bullseye", "bookworm", "trixie", "forky", "duke", "sid",
	"oldoldstable", "oldstable", "stable", "testing", "unstable",
}

// source is one entry of apt's sources.
type source struct {
	types, uris, suites []string
	keyring             string
	disabled            bool
}

// readMirrors finds the Debian archives in apt's directory, such as /etc/apt.
func readMirrors(dir string) (mirrors, error) {
	var sources []source
	for _, f := range []struct {
		pattern string
		parse   func(string) []source
	}{
		{"sources.list", parseLines},
		{"sources.list.d/*.list", parseLines},
		{"sources.list.d/*.sources", parseStanzas},
	} {
		paths, err := filepath.Glob(filepath.Join(dir, f.pattern))
		if err != nil {
			return mirrors{}, err
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return mirrors{}, err
			}
			sources = append(sources, f.parse(string(text))...)
		}
	}
	m := choose(sources)
	if m.main.uri == "" {
		return m, fmt.Errorf("find a Debian archive in the sources of apt in %s: none has a Debian suite: "+
			"add one, for example deb URI stable main", dir)
	}
	return m, nil
}

func choose(sources []source) mirrors {
	var m mirrors
	for _, s := range sources {
		if s.disabled || !slices.Contains(s.types, "deb") || len(s.uris) == 0 {
			continue
		}
		found := mirror{uri: s.uris[0], keyring: s.keyring}
		if found.keyring == "" {
			found.keyring = debianKeyring
		}
		for _, suite := range s.suites {
			base, pocket, _ := strings.Cut(strings.ReplaceAll(suite, "/", "-"), "-")
			switch {
			case !slices.Contains(debianSuites, base):
			case pocket == "security" || (pocket == "updates" && strings.Contains(suite, "/")):
				if m.security.uri == "" {
					m.security = found
				}
			case m.main.uri == "":
				m.main = found
			}
		}
	}
	return m
}

// parseLines reads the one-line format: deb [option=value ...] URI suite component ...
func parseLines(text string) []source {
	var out []source
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		var options string
		if before, rest, ok := strings.Cut(line, "["); ok {
			inside, after, ok := strings.Cut(rest, "]")
			if !ok {
				continue
			}
			line, options = before+after, inside
		}
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		s := source{types: fields[:1], uris: fields[1:2], suites: fields[2:3]}
		for _, option := range strings.Fields(options) {
			if path, ok := strings.CutPrefix(option, "signed-by="); ok && filepath.IsAbs(path) {
				s.keyring = path
			}
		}
		out = append(out, s)
	}
	return out
}

// parseStanzas reads the format of deb822: fields, with an empty line between entries.
func parseStanzas(text string) []source {
	var out []source
	for _, fields := range stanzas(text) {
		s := source{
			types: strings.Fields(fields["types"]), uris: strings.Fields(fields["uris"]),
			suites: strings.Fields(fields["suites"]), disabled: strings.EqualFold(fields["enabled"], "no"),
		}
		if path := fields["signed-by"]; filepath.IsAbs(path) && !strings.ContainsAny(path, " \n") {
			s.keyring = path
		}
		out = append(out, s)
	}
	return out
}

// stanzas splits Debian's control format into fields with names in lower case. Lines that continue a
// field are joined to it with a space.
func stanzas(text string) []map[string]string {
	var out []map[string]string
	fields := map[string]string{}
	last := ""
	end := func() {
		if len(fields) > 0 {
			out = append(out, fields)
		}
		fields, last = map[string]string{}, ""
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		switch name, value, ok := strings.Cut(line, ":"); {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			end()
		case line[0] == ' ' || line[0] == '\t':
			fields[last] = strings.TrimSpace(fields[last] + " " + strings.TrimSpace(line))
		case ok:
			last = strings.ToLower(name)
			fields[last] = strings.TrimSpace(value)
		}
	}
	end()
	return out
}

// errNotOffered says that an archive has no such suite or package.
var errNotOffered = errors.New("not offered")
