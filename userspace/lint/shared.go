package lint

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"gabion/userspace/expr"
	"gabion/userspace/parse"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

// shared is what documents have to do with each other.
type shared struct {
	parsers    bool                       // there are some
	set        map[string]bool            // fields that something sets, such as Meta.log_type
	open       map[string]bool            // those of them whose values are not constants
	values     map[string]map[string]bool // constants that fields are set to
	beginnings map[string][]string        // what others of their values begin with
	read       map[string]bool            // fields that something reads
	looks      map[string]*expr.Look
	stashes    map[string]bool   // declared
	stashed    map[string]bool   // read
	data       map[string]string // declared files: their type
	named      map[string]bool   // constants that expressions hold as arguments
	used       map[string]bool   // grok patterns that something references
}

// methodFields are the fields of evt.Enriched that the methods of statics set.
func methodFields() map[string][]string {
	return map[string][]string{
		"ParseDate":   {"MarshaledTime"},
		"reverse_dns": {"reverse_dns"},
		"GeoIpCity":   {"IsoCode", "IsInEU", "Latitude", "Longitude", "GeoCoords"},
		"GeoIpASN":    {"ASNNumber", "ASNumber", "ASNOrg"},
		"IpToRange":   {"SourceRange"},
	}
}

// collect looks at all documents, those of the context too.
func (l *linter) collect() {
	l.shared = shared{
		set: map[string]bool{}, open: map[string]bool{}, values: map[string]map[string]bool{}, beginnings: map[string][]string{}, read: map[string]bool{},
		looks: map[string]*expr.Look{}, stashes: map[string]bool{}, stashed: map[string]bool{}, data: map[string]string{},
		named: map[string]bool{}, used: map[string]bool{},
	}
	l.patterns = l.config.Deps.Patterns.Clone()
	for _, d := range l.docs {
		for _, f := range d.data() {
			l.shared.data[f.DestFile] = f.Type
		}
		for _, e := range d.expressions() {
			l.collectExpression(e)
		}
		if d.parser == nil {
			continue
		}
		l.shared.parsers = l.shared.parsers || d.Kind == rules.Parser
		each(d.parser, func(n *parse.Document) {
			for _, p := range n.PatternSyntax {
				l.shared.references(p.Value.Text)
				_ = l.patterns.Add(p.Key.Text, p.Value.Text) // loading says what is wrong with it
			}
			l.collectNode(n)
		})
	}
}

func (l *linter) collectExpression(e expression) {
	look := l.look(e.text.Text)
	for _, u := range look.Reads {
		l.shared.read[u.Set+"."+u.Key] = true
	}
	for _, u := range look.Writes {
		l.shared.sets(u.Set+"."+u.Key, "", false)
	}
	for _, c := range look.Calls {
		for _, a := range c.Args {
			if a != nil {
				l.shared.named[*a] = true
			}
		}
		if c.Name == "GetFromStash" && len(c.Args) > 0 && c.Args[0] != nil {
			l.shared.stashed[*c.Args[0]] = true
		}
	}
}

// look looks into an expression, once.
func (l *linter) look(src string) *expr.Look {
	if found, ok := l.shared.looks[src]; ok {
		return found
	}
	found, err := expr.LookInto(src)
	if err != nil { // loading says so
		found = &expr.Look{}
	}
	l.shared.looks[src] = found
	return found
}

func (l *linter) collectNode(n *parse.Document) {
	if g := n.Grok; g != nil {
		l.shared.references(g.Pattern.Text)
		l.shared.used[g.Name.Text] = true
		if g.ApplyOn != "" {
			l.shared.read["Parsed."+g.ApplyOn] = true
		}
		_, fields, _ := l.patterns.Expand(pattern(g))
		for _, f := range fields {
			l.shared.sets("Parsed."+f, "", false)
		}
	}
	for _, s := range n.Stash {
		l.shared.stashes[s.Name] = true
	}
	for _, s := range statics(n) {
		l.collectStatic(s)
	}
}

func (l *linter) collectStatic(s *parse.StaticDocument) {
	if s.Method != "" {
		for _, f := range methodFields()[s.Method] {
			l.shared.sets("Enriched."+f, "", false)
		}
		return
	}
	name := fieldOf(s)
	if name == "" {
		return
	}
	if s.Value != "" {
		l.shared.sets(name, s.Value, true)
		return
	}
	values, beginnings, known := expr.Outcomes(s.Expression.Text)
	for _, v := range values {
		l.shared.sets(name, v, true)
	}
	l.shared.beginnings[name] = append(l.shared.beginnings[name], beginnings...)
	if !known {
		l.shared.sets(name, "", false)
	}
	l.shared.set[name] = true
}

// fieldOf returns the field that a static sets, "" for other places.
func fieldOf(s *parse.StaticDocument) string {
	switch {
	case s.Parsed != "":
		return "Parsed." + s.Parsed
	case s.Meta != "":
		return "Meta." + s.Meta
	case s.Enriched != "":
		return "Enriched." + s.Enriched
	}
	path := strings.Split(strings.TrimPrefix(s.Target, "evt."), ".")
	if len(path) < 2 {
		return ""
	}
	return path[0] + "." + path[1]
}

// hasValue reports whether something may set a field to a value.
func (s *shared) hasValue(name, value string) bool {
	return s.values[name][value] || slices.ContainsFunc(s.beginnings[name], func(b string) bool { return strings.HasPrefix(value, b) })
}

// sets notes that something sets a field, to a constant or to whatever.
func (s *shared) sets(name, value string, constant bool) {
	s.set[name] = true
	if !constant {
		s.open[name] = true
		return
	}
	if s.values[name] == nil {
		s.values[name] = map[string]bool{}
	}
	s.values[name][value] = true
}

// references notes the patterns that a grok expression references.
func (s *shared) references(text string) {
	for _, piece := range strings.Split(text, "%{")[1:] {
		name, _, ok := strings.Cut(piece, "}")
		if ok {
			name, _, _ = strings.Cut(name, ":")
			s.used[name] = true
		}
	}
}

// nearField suggests a field that is set in place of one that is not.
func (s *shared) nearField(name string) string {
	near := yamlpos.Nearest(name, maps.Keys(s.set))
	_, key, _ := strings.Cut(name, ".")
	_, nearKey, _ := strings.Cut(near, ".")
	if near == "" || !alike(key, nearKey) {
		return ""
	}
	return "did you mean evt." + near + "?"
}

// alike reports whether two names begin alike, case apart: of short names the nearest is often far.
func alike(a, b string) bool {
	half := (min(len(a), len(b)) + 1) / 2
	return strings.EqualFold(a[:half], b[:half])
}

// nearValue suggests a value that a field is set to.
func (s *shared) nearValue(name, value string) string {
	if near := yamlpos.Nearest(value, maps.Keys(s.values[name])); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	values := slices.Sorted(maps.Keys(s.values[name]))
	if len(values) == 0 || len(values) > 8 {
		return ""
	}
	for i, v := range values {
		values[i] = strconv.Quote(v)
	}
	return "it is set to " + strings.Join(values, ", ")
}
