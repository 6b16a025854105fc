package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/expr"
)

// queueLength is how conditions ask for the number of events.
const queueLength = "len(queue.Queue)"

func (l *linter) checkScenario(d *doc, s *bucket.Document) {
	l.checkExpressions(d)
	l.checkUnused(s)
	l.checkOverflow(s)
	l.checkKeys(s)
	l.checkLabels(d, s)
	if s.Debug {
		l.add(s.At.Key("debug"), Hint, "debug", "debug makes the rule slow and fills the log", "")
	}
}

// checkUnused reports keys that have no effect for the type of the scenario.
func (l *linter) checkUnused(s *bucket.Document) {
	unused := map[string][]string{
		"trigger":     {"leakspeed", "duration", "distinct", "cancel_on", "cache_size", "condition"},
		"counter":     {"leakspeed"},
		"leaky":       {"bayesian_prior", "bayesian_threshold", "bayesian_conditions"},
		"conditional": {"bayesian_prior", "bayesian_threshold", "bayesian_conditions"},
	}
	for _, key := range unused[s.Type.Text] {
		if s.At.Has(key) {
			l.add(s.At.Key(key), Hint, "no-effect", fmt.Sprintf("%s has no effect in a %s scenario", key, s.Type.Text), "leave it out")
		}
	}
	if s.Type.Text == "trigger" && s.At.Has("groupby") && s.Blackhole == 0 {
		l.add(s.At.Key("groupby"), Hint, "no-effect", "groupby has no effect in a trigger without blackhole", "leave it out, or add blackhole")
	}
	if s.CacheSize > 0 && s.Capacity > 0 && s.CacheSize > s.Capacity {
		l.add(s.At.Key("cache_size"), Warning, "no-effect",
			fmt.Sprintf("cache_size %d is larger than capacity %d and is ignored", s.CacheSize, s.Capacity), "")
	}
}

// checkOverflow looks for buckets that can never overflow.
func (l *linter) checkOverflow(s *bucket.Document) {
	cannot := func(key, format string, args ...any) {
		l.add(s.At.Key(key), Error, "never-overflows", "the bucket can never overflow: "+fmt.Sprintf(format, args...), "")
	}
	if s.Type.Text == "leaky" && s.Distinct.Text != "" && s.Duration == 0 && s.Condition.Text == "" {
		if n, what, ok := l.distinctValues(s); ok && n <= s.Capacity {
			cannot("distinct", "distinct gives at most %s (%s), and capacity is %d", count(n, "value"), what, s.Capacity)
		}
	}
	if s.CancelOn.Text != "" && s.Type.Text != "trigger" && same(s.CancelOn.Text, s.Filter.Text) {
		cannot("cancel_on", "cancel_on takes every event that the filter takes")
	}
	if s.CancelOn.Text != "" && s.Type.Text != "trigger" {
		if c, never := expr.Never("(" + s.Filter.Text + ") && (" + s.CancelOn.Text + ")"); never && !isNever(s.Filter.Text) && !isNever(s.CancelOn.Text) {
			l.add(s.CancelOn.Pos, Warning, "never-cancels", "no event that the filter takes can cancel the bucket: "+c.Text, "")
		}
	}
	if n, ok := expr.AtLeast(s.Condition.Text, queueLength); ok && n > kept(s) {
		cannot("condition", "condition wants %d events in the queue, which keeps %d", n, kept(s))
	}
}

func isNever(src string) bool {
	_, never := expr.Never(src)
	return never
}

// kept returns how many events the queue of a bucket holds.
func kept(s *bucket.Document) int {
	const unbounded = 1000 // what a condition looks at
	keep := s.Capacity
	if keep < 0 {
		keep = unbounded - 1
	}
	if s.CacheSize > 0 && s.CacheSize <= keep {
		keep = s.CacheSize
	}
	return min(keep, unbounded-1) + 1
}

// distinctValues returns how many values distinct can give for the events of one bucket at most.
func (l *linter) distinctValues(s *bucket.Document) (n int, what string, ok bool) {
	if same(s.Distinct.Text, s.GroupBy.Text) {
		return 1, "it is what groupby gives", true
	}
	if isConstant(s.Distinct.Text) {
		return 1, "it is a constant", true
	}
	look := l.look(s.Distinct.Text)
	if len(look.Reads) != 1 || len(look.Calls) > 0 || !isField(s.Distinct.Text) {
		return 0, "", false
	}
	name := look.Reads[0].Set + "." + look.Reads[0].Key
	for _, d := range expr.Demands(s.Filter.Text) {
		if d.Map+"."+d.Key == name {
			return len(d.Values), "the filter allows no others", true
		}
	}
	if l.shared.parsers && l.shared.set[name] && !l.shared.open[name] && len(l.shared.beginnings[name]) == 0 {
		return len(l.shared.values[name]) + 1, "rules set no others", true
	}
	return 0, "", false
}

func isConstant(src string) bool {
	values, beginnings, known := expr.Outcomes(src)
	return known && len(values) == 1 && len(beginnings) == 0
}

// isField reports whether an expression is nothing but a field of the event.
func isField(src string) bool {
	src = strings.TrimSpace(src)
	return strings.HasPrefix(src, "evt.") && !strings.ContainsAny(src, " +?:|&=(){}")
}

// same reports whether two expressions are written the same way.
func same(a, b string) bool {
	return strings.Join(strings.Fields(a), "") == strings.Join(strings.Fields(b), "")
}

// shortBlackhole is a blackhole that mutes next to nothing.
const shortBlackhole = 10 * time.Second

// checkKeys looks at the expressions that bring events together.
func (l *linter) checkKeys(s *bucket.Document) {
	for _, e := range []expression{{"groupby", s.GroupBy}, {"distinct", s.Distinct}} {
		if e.text.Text == "" {
			continue
		}
		if isConstant(e.text.Text) {
			l.add(e.text.Pos, Warning, "constant-key", e.key+" is a constant: it tells no events apart", "")
		}
		for _, u := range l.look(e.text.Text).Reads {
			if u.Set == "Unmarshaled" && strings.HasPrefix(strings.TrimSpace(e.text.Text), "evt.Unmarshaled.") && isField(e.text.Text) {
				l.add(e.text.At(u.At), Hint, "maybe-no-text", e.key+" gives what the log holds there, which may be no text: such events do not count",
					"write string("+strings.TrimSpace(e.text.Text)+")")
			}
		}
	}
	if s.Blackhole > 0 && s.Blackhole.Std() < shortBlackhole {
		l.add(s.At.Key("blackhole"), Hint, "short-blackhole",
			fmt.Sprintf("blackhole %s is so short that an attack which goes on raises an alert every few seconds", s.Blackhole), "")
	}
}

// checkLabels looks at what says whether an alert asks for a decision.
func (l *linter) checkLabels(d *doc, s *bucket.Document) {
	remediation, said := s.Labels["remediation"]
	switch _, valid := remediation.(bool); {
	case !s.At.Has("labels"):
		l.add(d.Pos(), Warning, "no-labels", "scenario without labels: its alerts ask for no decision", "add labels: {remediation: true}, or false")
	case !said:
		l.add(s.At.Key("labels"), Hint, "no-remediation", "labels do not say whether alerts ask for a decision: they do not",
			"add remediation: true, or false")
	case !valid:
		l.add(s.At.Key("labels"), Warning, "no-remediation",
			fmt.Sprintf("remediation is %v, which is no truth value and counts as false", remediation), "write true or false, without quotes")
	}
}

// checkNames looks for rules of the same name.
func (l *linter) checkNames() {
	type id struct{ kind, stage, name string }
	first := map[id]*doc{}
	for _, d := range l.docs {
		if d.Name == "" {
			continue
		}
		key := id{string(d.Kind), d.Stage, d.Name}
		other := first[key]
		if other == nil {
			first[key] = d
			continue
		}
		if !d.context && !other.context && d.Source == other.Source {
			severity := Warning
			if d.File() == other.File() { // variants of one rule, as some write them
				severity = Hint
			}
			l.add(d.Pos(), severity, "same-name", fmt.Sprintf("%s %s is defined at %s too", d.Kind, d.Name, other.Pos()), "give it another name")
		}
	}
}

// checkData looks at the data files that rules declare and name.
func (l *linter) checkData() {
	for _, d := range l.docs {
		if d.context || l.faulty[d.Pos()] {
			continue
		}
		for _, f := range d.data() {
			if f.Type != "" && !l.shared.named[f.DestFile] {
				l.add(f.At.Key("dest_file"), Warning, "unread-data", fmt.Sprintf("no expression reads the data file %s", f.DestFile), "")
			}
		}
		for _, e := range d.expressions() {
			l.checkDataUse(e)
		}
	}
}

// wantedType returns the types of data file that a helper reads; its argument holds the name.
func wantedType(helper string) (argument int, types []string) {
	switch helper {
	case "File":
		return 0, []string{"string"}
	case "RegexpInFile":
		return 1, []string{"regexp", "regex"}
	case "FileMap":
		return 0, []string{"map"}
	case "LookupFile":
		return 1, []string{"map"}
	}
	return 0, nil
}

func (l *linter) checkDataUse(e expression) {
	for _, c := range l.look(e.text.Text).Calls {
		argument, types := wantedType(c.Name)
		if types == nil || argument >= len(c.Args) || c.Args[argument] == nil {
			continue
		}
		file := *c.Args[argument]
		typ, declared := l.shared.data[file]
		switch {
		case !declared && !slices.Contains(l.config.Data, file):
			l.add(e.text.At(c.At), Warning, "undeclared-data", fmt.Sprintf("no rule declares the data file %q that %s reads", file, c.Name),
				fmt.Sprintf("add data: [{dest_file: %s, type: %s}]", file, types[0]))
		case declared && !slices.Contains(types, typ):
			l.add(e.text.At(c.At), Warning, "data-type", fmt.Sprintf("%s reads data files of type %s, and %q is of type %q", c.Name, types[0], file, typ), "")
		}
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
