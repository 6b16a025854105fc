package meter

import (
	"regexp"
	"slices"

	"gabion/userspace/yamlpos"
)

// document is a meter as it is written: the complete list of keys.
type document struct {
	At          yamlpos.Mapping         `yaml:",mapping"`
	Type        yamlpos.Text            `yaml:"type"`
	Name        yamlpos.Text            `yaml:"name"`
	Description yamlpos.Text            `yaml:"description"`
	Match       match                   `yaml:"match"`
	Count       Count                   `yaml:"count"`
	Per         Per                     `yaml:"per"`
	Limit       uint64                  `yaml:"limit"`
	Window      yamlpos.Duration        `yaml:"window"`
	Action      action                  `yaml:"action"`
	Spare       spare                   `yaml:"spare"`
	Labels      map[string]yamlpos.Text `yaml:"labels"`
}

type match struct {
	At       yamlpos.Mapping   `yaml:",mapping"`
	Protocol Protocol          `yaml:"protocol"`
	Flags    *yamlpos.Document `yaml:"flags"`
	Port     *yamlpos.Document `yaml:"port"`
	ICMPType *yamlpos.Document `yaml:"icmp_type"`
	Answer   Answer            `yaml:"answer"`
}

// action is what happens above the limit.
type action uint8

const (
	actionReport action = iota
	actionShed
)

// DecodeText implements yamlpos.TextDecoder.
func (a *action) DecodeText(t yamlpos.Text) error { return pick(a, t, []string{"report", "shed"}) }

// spare is who is not shed; there is one word.
type spare uint8

// DecodeText implements yamlpos.TextDecoder.
func (s *spare) DecodeText(t yamlpos.Text) error { return pick(s, t, []string{"", "proven"}) }

// Bounds of what a meter may ask for.
const (
	maxBytes  = 1 << 40
	maxOther  = 100_000_000 // packets or connections
	maxPorts  = 1000        // where the kernel's estimate of distinct ports is still good
	maxLabels = 64
)

// validName is what names consist of: they are parts of metric labels and of log types.
var validName = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)

// Compile compiles a document of type meter. The error is yamlpos.Errors with everything that is
// wrong.
func Compile(doc *yamlpos.Document) (*Meter, error) {
	var d document
	var errs yamlpos.Errors
	errs.Add(doc.Pos(), doc.Decode(&d))
	m := &Meter{
		Name: d.Name.Text, Description: d.Description.Text, Match: d.Match.compile(&errs),
		Count: d.Count, Per: d.Per, Limit: d.Limit, Window: d.Window.Std(),
		Shed: d.Action == actionShed, SpareProven: d.Spare != 0, Labels: map[string]string{},
	}
	for key, value := range d.Labels {
		m.Labels[key] = value.Text
	}
	d.checkValues(&errs)
	d.checkMatch(m, &errs)
	d.checkCount(m, &errs)
	d.checkAction(&errs)
	if len(errs) > 0 {
		return nil, errs.Err()
	}
	if m.Count == Connections && m.Match.Answer == None {
		m.Match.Flags |= SYN
		m.Match.NoFlags |= ACK
	}
	return m, nil
}

// compile returns the match without checking that its parts go together.
func (d *match) compile(errs *yamlpos.Errors) Match {
	m := Match{Protocol: d.Protocol, Answer: d.Answer, Ports: values[PortRange](d.Port, errs)}
	for _, f := range values[flag](d.Flags, errs) {
		m.Flags |= f.set
		m.NoFlags |= f.clear
	}
	for _, types := range values[icmpTypes](d.ICMPType, errs) {
		m.ICMPTypes = append(m.ICMPTypes, types...)
	}
	slices.Sort(m.ICMPTypes)
	m.ICMPTypes = slices.Compact(m.ICMPTypes)
	return m
}

// faults returns a function that notes what is wrong with a key, unless decoding did already.
func faults(at yamlpos.Mapping, errs *yamlpos.Errors) func(key, format string, args ...any) {
	return func(key, format string, args ...any) {
		if !at.Faulty(key) {
			*errs = append(*errs, at.Key(key).Errorf(format, args...))
		}
	}
}

// checkValues checks each value for itself.
func (d *document) checkValues(errs *yamlpos.Errors) {
	bad := faults(d.At, errs)
	if d.Type.Text != "meter" {
		bad("type", "a meter is a document of type meter")
	}
	for _, need := range []struct{ key, what string }{
		{"name", "a name"}, {"count", "count: packets, bytes, connections or ports"},
		{"per", "per: source, network or port"}, {"limit", "a limit"}, {"window", "a window such as 1s"},
		{"action", "an action: shed or report"},
	} {
		if !d.At.Has(need.key) {
			bad(need.key, "a meter needs %s", need.what)
		}
	}
	if d.At.Has("name") && (len(d.Name.Text) > 64 || !validName.MatchString(d.Name.Text)) {
		bad("name", "invalid name: write up to 64 letters, digits and . _ - / such as gabion/syn-flood")
	}
	most := uint64(maxOther)
	if d.Count == Bytes {
		most = maxBytes
	}
	if d.At.Has("limit") && (d.Limit == 0 || d.Limit > most) {
		bad("limit", "the limit must be from 1 to %d", most)
	}
	if d.At.Has("window") && (d.Window.Std() < MinWindow || d.Window.Std() > MaxWindow) {
		bad("window", "the window must be from 10ms to 1h")
	}
	if len(d.Labels) > maxLabels {
		bad("labels", "more than %d labels", maxLabels)
	}
}

// checkMatch names the parts of match that contradict each other.
func (d *document) checkMatch(m *Meter, errs *yamlpos.Errors) {
	at := d.Match.At
	bad := faults(at, errs)
	ports := m.Match.Protocol != ICMP
	switch {
	case at.Has("flags") && m.Match.Answer != None:
		bad("flags", "flags do not go with answer: the answer says which packets count")
	case at.Has("flags") && m.Match.Protocol != TCP:
		bad("flags", "flags need protocol: tcp")
	case m.Match.Flags&m.Match.NoFlags != 0:
		bad("flags", "a flag is both wanted and unwanted: nothing would match")
	}
	if at.Has("port") && !ports {
		bad("port", "ICMP has no ports: leave port out, or write protocol: tcp or udp")
	}
	if n := len(m.Match.Ports); n > MaxPortRanges {
		bad("port", "%d ports and ranges, at most %d: join neighbours to a range, or write a second meter", n, MaxPortRanges)
	}
	if at.Has("icmp_type") && m.Match.Protocol != ICMP {
		bad("icmp_type", "icmp_type needs protocol: icmp")
	}
	if n := len(m.Match.ICMPTypes); n > MaxICMPTypes {
		bad("icmp_type", "%d ICMP types, at most %d (a name stands for a type of each version): write a second meter", n, MaxICMPTypes)
	}
	if m.Match.Answer != None && !ports {
		bad("answer", "answer does not go with protocol: icmp: it is about ports")
	}
	if m.Match.Answer == HalfOpen && m.Match.Protocol == UDP {
		bad("answer", "half-open is about TCP: UDP has no handshake")
	}
}

// checkCount names units and keys that do not go with what is matched.
func (d *document) checkCount(m *Meter, errs *yamlpos.Errors) {
	bad := faults(d.At, errs)
	switch answer := m.Match.Answer; {
	case answer == Closed && m.Count != Packets && m.Count != Ports:
		bad("count", "answer: closed counts packets (the refusals) or ports (the distinct ones that were refused)")
	case answer == HalfOpen && m.Count != Connections:
		bad("count", "answer: half-open counts connections")
	case m.Count == Connections && answer == None:
		d.checkConnections(m, errs)
	case m.Count == Ports && m.Per == Port:
		bad("count", "count: ports with per: port is always 1: count per source or network")
	case m.Count == Ports && m.Match.Protocol == ICMP:
		bad("count", "ICMP has no ports to count")
	}
	if m.Count == Ports && m.Limit > maxPorts && m.Limit <= maxOther {
		bad("limit", "distinct ports are an estimate, good up to %d: write a lower limit", maxPorts)
	}
	if m.Per == Port && m.Match.Protocol == ICMP {
		bad("per", "ICMP has no ports: count per source or network")
	}
}

// checkConnections checks a meter of connections that arrive.
func (d *document) checkConnections(m *Meter, errs *yamlpos.Errors) {
	if m.Match.Protocol != TCP {
		faults(d.At, errs)("count", "count: connections needs protocol: tcp in match")
	}
	if m.Match.Flags&ACK != 0 || m.Match.NoFlags&SYN != 0 {
		faults(d.Match.At, errs)("flags", "a new connection is a SYN without ACK: with these flags nothing would match")
	}
}

// checkAction names what cannot be done above the limit.
func (d *document) checkAction(errs *yamlpos.Errors) {
	bad := faults(d.At, errs)
	answer := d.Match.Answer != None
	if answer && d.Action == actionShed {
		bad("action", "answers are not shed, they are this machine's own: write action: report")
	}
	switch {
	case !d.At.Has("spare"):
	case answer:
		bad("spare", "spare does not go with answer: nothing is shed")
	case d.Action != actionShed:
		bad("spare", "spare needs action: shed")
	case d.Per == Source:
		bad("spare", "spare does not go with per: source: a source that is proven could never be shed")
	}
}
