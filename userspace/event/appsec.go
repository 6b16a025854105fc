package event

import (
	"regexp"
	"slices"
	"strconv"
)

// AppsecEvent is what a web application firewall adds; it stays empty until that source exists.
type AppsecEvent struct {
	HasInBandMatches  bool
	HasOutBandMatches bool
	MatchedRules      // its methods are callable on evt.Appsec
	Vars              map[string]string
	HookVars          map[string]string
}

// GetVar returns a variable of the request, or "".
func (a AppsecEvent) GetVar(name string) string { return a.Vars[name] }

// MatchedRules are the firewall rules that a request matched. The keys of a rule are id, uri,
// rule_type, method, disruptive, tags, file, file_line, revision, secmark, accuracy, msg, severity,
// severity_int, name, hash, version, matched_zones, logdata and internal.
type MatchedRules []map[string]any

// GetField returns the value of a key in every rule that has it.
func (m MatchedRules) GetField(key string) []any {
	out := []any{}
	for _, rule := range m {
		if v, ok := rule[key]; ok {
			out = append(out, v)
		}
	}
	return out
}

// GetURI returns the URI of the request, as the first rule saw it.
func (m MatchedRules) GetURI() string { return m.first("uri") }

// GetMethod returns the method of the request, as the first rule saw it.
func (m MatchedRules) GetMethod() string { return m.first("method") }

// GetName returns the name of the first rule.
func (m MatchedRules) GetName() string { return m.first("name") }

// GetHash returns the hash of the first rule.
func (m MatchedRules) GetHash() string { return m.first("hash") }

// GetVersion returns the version of the first rule.
func (m MatchedRules) GetVersion() string { return m.first("version") }

// GetNames returns the names of the rules.
func (m MatchedRules) GetNames() []string { return collect[string](m, "name") }

// GetRuleIDs returns the IDs of the rules.
func (m MatchedRules) GetRuleIDs() []int { return collect[int](m, "id") }

// Kinds returns the types of the rules (inband, outofband), each once.
func (m MatchedRules) Kinds() []string { return unique(collect[string](m, "rule_type")) }

// GetMatchedZones returns the parts of the request that the rules matched, each once.
func (m MatchedRules) GetMatchedZones() []string {
	return unique(slices.Concat(collect[[]string](m, "matched_zones")...))
}

// GetHighestSeverity returns the severity of the gravest rule, 0 being the gravest of all, and
// maxSeverity when no rule has one.
func (m MatchedRules) GetHighestSeverity() int {
	return slices.Min(append(collect[int](m, "severity_int"), maxSeverity))
}

// maxSeverity is the severity of what is harmless.
const maxSeverity = 255

// ByID returns the rules with an ID.
func (m MatchedRules) ByID(id int) MatchedRules { return by(m, "id", id) }

// ByKind returns the rules of a type.
func (m MatchedRules) ByKind(kind string) MatchedRules { return by(m, "rule_type", kind) }

// BySeverity returns the rules of a severity.
func (m MatchedRules) BySeverity(severity string) MatchedRules { return by(m, "severity", severity) }

// ByAccuracy returns the rules of an accuracy, which is a number in a rule and text in expressions.
func (m MatchedRules) ByAccuracy(accuracy string) MatchedRules {
	n, err := strconv.Atoi(accuracy)
	if err != nil {
		return nil
	}
	return by(m, "accuracy", n)
}

// ByDisruptiveness returns the rules that end a request, or those that do not.
func (m MatchedRules) ByDisruptiveness(disruptive bool) MatchedRules {
	return by(m, "disruptive", disruptive)
}

// ByTag returns the rules with a tag.
func (m MatchedRules) ByTag(tag string) MatchedRules { return m.ByTags([]string{tag}) }

// ByTags returns the rules with one of the tags, each once.
func (m MatchedRules) ByTags(tags []string) MatchedRules {
	return m.tagged(func(tag string) bool { return slices.Contains(tags, tag) })
}

// ByTagRx returns the rules with a tag that matches a regular expression; none when it is not one.
func (m MatchedRules) ByTagRx(expr string) MatchedRules {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil
	}
	return m.tagged(re.MatchString)
}

func (m MatchedRules) tagged(want func(tag string) bool) MatchedRules {
	var out MatchedRules
	for _, rule := range m {
		if tags, _ := rule["tags"].([]string); slices.ContainsFunc(tags, want) {
			out = append(out, rule)
		}
	}
	return out
}

func (m MatchedRules) first(key string) string {
	if len(m) == 0 {
		return ""
	}
	s, _ := m[0][key].(string)
	return s
}

// collect returns the values of a key that have the type.
func collect[T any](m MatchedRules, key string) []T {
	out := []T{}
	for _, rule := range m {
		if v, ok := rule[key].(T); ok {
			out = append(out, v)
		}
	}
	return out
}

func by[T comparable](m MatchedRules, key string, want T) MatchedRules {
	var out MatchedRules
	for _, rule := range m {
		if v, ok := rule[key].(T); ok && v == want {
			out = append(out, rule)
		}
	}
	return out
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
