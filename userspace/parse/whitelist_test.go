package parse

import (
	"testing"

	"gabion/userspace/event"
)

func TestWhitelist(t *testing.T) {
	from := func(ip string) *event.Event { return &event.Event{Meta: event.MakeFields("source_ip", ip)} }
	rules := func(list string) []rule {
		return []rule{
			doc("s00", "name: w\nwhitelist:\n  reason: friend\n"+list+"\nstatics: [{enriched: hit, value: x}]"),
			doc("s00", "name: second\nwhitelist: {reason: second, ip: [192.0.2.1, '2001:db8::1']}"),
		}
	}
	ip := rules("  ip: [192.0.2.1, '2001:db8::1', '::ffff:198.51.100.7']")
	cidr := rules("  cidr: [192.0.2.0/24, '2001:db8::/32', '::ffff:198.51.100.0/120']")
	hit := func(evt *event.Event) want {
		return want{Meta: evt.Meta.Map(), White: true, Reason: "friend", Enriched: strs("hit", "x")}
	}
	miss := func(evt *event.Event) want { return want{Meta: evt.Meta.Map()} }
	rows := []row{
		{"an expression that is true", rules("  expression: [evt.Line.Raw == 'b', evt.Line.Raw == 'a']"), "a", nil, want{White: true, Reason: "friend", Enriched: strs("hit", "x")}},
		{"no expression is true: the node succeeds without its statics", rules("  expression: [evt.Line.Raw == 'b']"), "a", nil, want{}},
		{"a failing expression ends the search", rules("  expression: [FailBool(), evt.Line.Raw == 'a']"), "a", nil, want{}},
		{"a value that is no truth value is passed over", rules("  expression: [evt.Unmarshaled.none, evt.Line.Raw == 'a']"), "a", nil, want{White: true, Reason: "friend", Enriched: strs("hit", "x")}},
		{"a whitelist without entries runs statics", []rule{doc("s00", "name: w\nwhitelist: {reason: none}\nstatics: [{meta: a, value: x}]")}, "a", nil, want{Meta: strs("a", "x")}},
		{"a whitelisted event goes on through the stages", []rule{doc("s00", "name: w\nonsuccess: next_stage\nwhitelist: {reason: r, expression: ['true']}"), doc("s01", "name: n\nstatics: [{meta: a, value: x}]")}, "a", nil,
			want{Stage: "s01", Meta: strs("a", "x"), White: true, Reason: "r"}},
	}
	for _, c := range []struct {
		name  string
		rules []rule
		ip    string
		hit   bool
	}{
		{"a listed address", ip, "192.0.2.1", true},
		{"a listed IPv6 address", ip, "2001:db8:0::1", true},
		{"a mapped form of a listed address", ip, "::ffff:192.0.2.1", true},
		{"an address listed in mapped form", ip, "198.51.100.7", true},
		{"an address that is not listed", ip, "192.0.2.2", false},
		{"an address in a listed network", cidr, "192.0.2.255", true},
		{"an IPv6 address in a listed network", cidr, "2001:db8:ffff::1", true},
		{"an address in a network in mapped form", cidr, "198.51.100.9", true},
		{"an IPv6 address with a zone", cidr, "2001:db8::7%eth0", true},
		{"an address outside of the networks", cidr, "203.0.113.1", false},
		{"text that is no address", cidr, "example.com", false},
	} {
		evt := from(c.ip)
		if c.hit {
			rows = append(rows, row{c.name, c.rules, "", evt, hit(evt)})
		} else {
			rows = append(rows, row{c.name, c.rules, "", evt, miss(evt)})
		}
	}
	runRows(t, rows)
}

func TestWhitelistKeepsItsStageAlive(t *testing.T) {
	runRows(t, []row{{"a miss is a success of the node", []rule{
		doc("s00", promoting),
		doc("s01", "name: w\nwhitelist: {reason: r, ip: [192.0.2.1]}"),
	}, "a", nil, want{Stage: "s01", Meta: strs("up", "x")}}})
}
