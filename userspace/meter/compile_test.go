package meter

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/yamlpos"
)

func TestAMeterIsReadAsItIsWritten(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		want       Meter
	}{
		{"a SYN flood per port that spares the proven", `
type: meter
name: gabion/syn-flood
description: d
match: {protocol: tcp, flags: [syn, "!ack"], port: [80, 443, 8000-8099]}
count: connections
per: port
limit: 200
window: 1s
action: shed
spare: proven
labels: {service: kernel, remediation: false}
`, Meter{
			Name: "gabion/syn-flood", Description: "d", Count: Connections, Per: Port, Limit: 200, Window: time.Second, Shed: true, SpareProven: true,
			Match:  Match{Protocol: TCP, Flags: SYN, NoFlags: ACK, Ports: []PortRange{{80, 80}, {443, 443}, {8000, 8099}}},
			Labels: map[string]string{"service": "kernel", "remediation": "false"},
		}},
		{"connections without flags are SYNs without ACK", `
{type: meter, name: a, match: {protocol: tcp}, count: connections, per: source, limit: 1, window: 10ms, action: shed}
`, Meter{Name: "a", Match: Match{Protocol: TCP, Flags: SYN, NoFlags: ACK}, Count: Connections, Limit: 1, Window: 10 * time.Millisecond, Shed: true, Labels: map[string]string{}}},
		{"all packets of a network", `
{type: meter, name: a, count: bytes, per: network, limit: 125_000_000, window: 1h, action: shed, spare: proven}
`, Meter{Name: "a", Count: Bytes, Per: Network, Limit: 125_000_000, Window: time.Hour, Shed: true, SpareProven: true, Labels: map[string]string{}}},
		{"ICMP types by name and by number", `
{type: meter, name: a, match: {protocol: icmp, icmp_type: [echo-request, 17, 8]}, count: packets, per: source, limit: 5, window: 1s, action: report}
`, Meter{Name: "a", Match: Match{Protocol: ICMP, ICMPTypes: []uint8{8, 17, 128}}, Limit: 5, Window: time.Second, Labels: map[string]string{}}},
		{"one value instead of a list", `
{type: meter, name: a, match: {protocol: tcp, flags: "!syn", port: 22}, count: packets, per: port, limit: 5, window: 1s, action: report}
`, Meter{Name: "a", Match: Match{Protocol: TCP, NoFlags: SYN, Ports: []PortRange{{22, 22}}}, Per: Port, Limit: 5, Window: time.Second, Labels: map[string]string{}}},
		{"ports that were refused", `
{type: meter, name: a, match: {answer: closed}, count: ports, per: network, limit: 1000, window: 1m, action: report}
`, Meter{Name: "a", Match: Match{Answer: Closed}, Count: Ports, Per: Network, Limit: 1000, Window: time.Minute, Labels: map[string]string{}}},
		{"handshakes that wait", `
{type: meter, name: a, match: {answer: half-open, protocol: tcp}, count: connections, per: source, limit: 64, window: 1m, action: report}
`, Meter{Name: "a", Match: Match{Protocol: TCP, Answer: HalfOpen}, Count: Connections, Limit: 64, Window: time.Minute, Labels: map[string]string{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Compile(mustParse(t, tt.yaml))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("meter differs (-want +got):\n%s", diff)
			}
		})
	}
}

// valid is a meter whose keys the rows of the tests below replace.
const valid = `type: meter
name: gabion/x
match: {protocol: tcp}
count: packets
per: source
limit: 200
window: 1s
action: shed
`

func TestFaultsOfAMeter(t *testing.T) {
	for _, tt := range []struct {
		name, old, new string
		want           []string
	}{
		{"an unknown key", "limit:", "limt:", []string{`m.yaml:6:1: unknown key "limt": did you mean "limit"?`}},
		{"nothing but a type", valid[12:], "", []string{
			"m.yaml:1:1: a meter needs a name", "m.yaml:1:1: a meter needs count: packets, bytes, connections or ports",
			"m.yaml:1:1: a meter needs per: source, network or port", "m.yaml:1:1: a meter needs a limit",
			"m.yaml:1:1: a meter needs a window such as 1s", "m.yaml:1:1: a meter needs an action: shed or report",
		}},
		{"another type", "type: meter", "type: leaky", []string{"m.yaml:1:1: a meter is a document of type meter"}},
		{"a name that no label can hold", "gabion/x", `"a b"`, []string{"m.yaml:2:1: invalid name: write up to 64 letters, digits and . _ - / such as gabion/syn-flood"}},
		{"a word that is nearly right", "count: packets", "count: packet", []string{`m.yaml:4:8: unknown value "packet": did you mean packets?`}},
		{"a word that is none", "per: source", "per: planet", []string{`m.yaml:5:6: unknown value "planet": want source, network or port`}},
		{"an empty word", "per: source", `per: ""`, []string{`m.yaml:5:7: unknown value "": want source, network or port`}},
		{"the only word of spare", "per: source", "per: port\nspare: me", []string{`m.yaml:6:8: unknown value "me": want proven`}},
		{"no limit", "limit: 200", "limit: 0", []string{"m.yaml:6:1: the limit must be from 1 to 100000000"}},
		{"no limit of bytes", "packets\nper: source\nlimit: 200", "bytes\nper: source\nlimit: 0", []string{"m.yaml:6:1: the limit must be from 1 to 1099511627776"}},
		{"a negative limit", "limit: 200", "limit: -1", []string{"m.yaml:6:8: number -1 is out of range"}},
		{"a window that is too short", "1s", "9ms", []string{"m.yaml:7:1: the window must be from 10ms to 1h"}},
		{"a window that is too long", "1s", "1h1ms", []string{"m.yaml:7:1: the window must be from 10ms to 1h"}},
		{"flags without TCP", "{protocol: tcp}", "{flags: [syn]}", []string{"m.yaml:3:9: flags need protocol: tcp"}},
		{"a flag that does not exist", "tcp}", `tcp, flags: [syn, "!akc"]}`, []string{`m.yaml:3:38: unknown TCP flag "!akc": did you mean ack?`}},
		{"a flag that is wanted and unwanted", "tcp}", `tcp, flags: [syn, "!syn"]}`, []string{"m.yaml:3:24: a flag is both wanted and unwanted: nothing would match"}},
		{"a port that does not exist", "tcp}", "tcp, port: [22, 65536]}", []string{`m.yaml:3:35: invalid port "65536": write a port from 0 to 65535 or a range such as 80-443`}},
		{"a range that is turned round", "tcp}", "tcp, port: 443-80}", []string{`m.yaml:3:30: the range 443-80 is empty: write 80-443`}},
		{"too many ports", "tcp}", "tcp, port: [1, 2, 3, 4, 5]}", []string{"m.yaml:3:24: 5 ports and ranges, at most 4: join neighbours to a range, or write a second meter"}},
		{"an empty list of ports", "tcp}", "tcp, port: []}", []string{"m.yaml:3:30: the value is empty: leave the key out to match all"}},
		{"an empty port", "tcp}", "tcp, port: [~]}", []string{"m.yaml:3:31: the value is empty: leave the key out to match all"}},
		{"a list in a list of ports", "tcp}", "tcp, port: [[1]]}", []string{"m.yaml:3:31: want text, found a list"}},
		{"ports of ICMP", "{protocol: tcp}", "{protocol: icmp, port: 1}", []string{"m.yaml:3:25: ICMP has no ports: leave port out, or write protocol: tcp or udp"}},
		{"an ICMP type of TCP", "tcp}", "tcp, icmp_type: 8}", []string{"m.yaml:3:24: icmp_type needs protocol: icmp"}},
		{"an ICMP type that does not exist", "{protocol: tcp}", "{protocol: icmp, icmp_type: echo-requst}", []string{`m.yaml:3:36: unknown ICMP type "echo-requst": write a number from 0 to 255, or a name: did you mean echo-request?`}},
		{"too many ICMP types", "{protocol: tcp}", "{protocol: icmp, icmp_type: [echo-request, echo-reply, 3]}", []string{"m.yaml:3:25: 5 ICMP types, at most 4 (a name stands for a type of each version): write a second meter"}},
		{"connections of UDP", "{protocol: tcp}\ncount: packets", "{protocol: udp}\ncount: connections", []string{"m.yaml:4:1: count: connections needs protocol: tcp in match"}},
		{"connections with ACK", "tcp}\ncount: packets", "tcp, flags: [ack]}\ncount: connections", []string{"m.yaml:3:24: a new connection is a SYN without ACK: with these flags nothing would match"}},
		{"ports per port", "packets\nper: source\nlimit: 200", "ports\nper: port\nlimit: 1001", []string{"m.yaml:4:1: count: ports with per: port is always 1: count per source or network", "m.yaml:6:1: distinct ports are an estimate, good up to 1000: write a lower limit"}},
		{"more packets than the kernel counts", "limit: 200", "limit: 100000001", []string{"m.yaml:6:1: the limit must be from 1 to 100000000"}},
		{"ports of ICMP counted", "{protocol: tcp}\ncount: packets\nper: source\nlimit: 200", "{protocol: icmp}\ncount: ports\nper: source\nlimit: 2", []string{"m.yaml:4:1: ICMP has no ports to count"}},
		{"ICMP per port", "{protocol: tcp}\ncount: packets\nper: source", "{protocol: icmp}\ncount: packets\nper: port", []string{"m.yaml:5:1: ICMP has no ports: count per source or network"}},
		{"a spared source per source", "shed", "shed\nspare: proven", []string{"m.yaml:9:1: spare does not go with per: source: a source that is proven could never be shed"}},
		{"spared from nothing", "shed", "report\nspare: proven", []string{"m.yaml:9:1: spare needs action: shed"}},
		{"answers that are shed and spared", "{protocol: tcp}\ncount: packets\nper: source", "{answer: closed}\ncount: packets\nper: port\nspare: proven", []string{
			"m.yaml:6:1: spare does not go with answer: nothing is shed", "m.yaml:9:1: answers are not shed, they are this machine's own: write action: report"}},
		{"bytes of refusals", "tcp}\ncount: packets", "tcp, answer: closed}\ncount: bytes", []string{"m.yaml:4:1: answer: closed counts packets (the refusals) or ports (the distinct ones that were refused)", "m.yaml:8:1: answers are not shed, they are this machine's own: write action: report"}},
		{"half-open packets with flags over UDP", "{protocol: tcp}", "{answer: half-open, protocol: udp, flags: syn}", []string{
			"m.yaml:3:9: half-open is about TCP: UDP has no handshake", "m.yaml:3:43: flags do not go with answer: the answer says which packets count",
			"m.yaml:4:1: answer: half-open counts connections", "m.yaml:8:1: answers are not shed, they are this machine's own: write action: report"}},
		{"refusals of ICMP", "{protocol: tcp}", "{answer: closed, protocol: icmp}", []string{"m.yaml:3:9: answer does not go with protocol: icmp: it is about ports", "m.yaml:8:1: answers are not shed, they are this machine's own: write action: report"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(valid, tt.old, tt.new, 1)
			if text == valid {
				t.Fatalf("the row replaces nothing: %q is not in the document", tt.old)
			}
			_, err := Compile(mustParse(t, text))
			if diff := cmp.Diff(tt.want, messages(err)); diff != "" {
				t.Errorf("errors differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMeterSaysWhatItDoes(t *testing.T) {
	m := Meter{Count: Connections, Per: Port, Limit: 20000, Window: time.Second, Shed: true, SpareProven: true}
	if got, want := m.String(), "20000 connections per port in 1s, then shed all but proven sources"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m = Meter{Count: Ports, Per: Source, Limit: 30, Window: time.Minute}
	if got, want := m.String(), "30 ports per source in 1m0s, then report"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEnumerationsPrintAsTheyAreWritten(t *testing.T) {
	got := []string{TCP.String(), HalfOpen.String(), None.String(), Connections.String(), Port.String(), Per(9).String()}
	if diff := cmp.Diff([]string{"tcp", "half-open", "", "connections", "port", "unknown (9)"}, got); diff != "" {
		t.Errorf("words differ (-want +got):\n%s", diff)
	}
}

// FuzzCompile makes sure that no document brings the compiler down, and that what it accepts keeps
// the promises of Meter.
func FuzzCompile(f *testing.F) {
	f.Add(valid)
	f.Add("type: meter\nmatch: [1]\nlabels: {a: [b]}")
	f.Fuzz(func(t *testing.T, text string) {
		docs, err := yamlpos.Parse("f", []byte(text))
		if err != nil {
			return
		}
		for _, doc := range docs {
			m, err := Compile(doc)
			if (m == nil) == (err == nil) {
				t.Fatalf("meter %v and error %v", m, err)
			}
			if m != nil && (m.Limit == 0 || m.Window < MinWindow || m.Match.Flags&m.Match.NoFlags != 0 || len(m.Match.Ports) > MaxPortRanges || m.Shed && m.Match.Answer != None) {
				t.Fatalf("accepted %+v", m)
			}
		}
	})
}

func messages(err error) []string {
	var errs yamlpos.Errors
	errors.As(err, &errs)
	var out []string
	for _, e := range errs {
		out = append(out, e.Error())
	}
	return out
}

func mustParse(t *testing.T, text string) *yamlpos.Document {
	t.Helper()
	docs, err := yamlpos.Parse("m.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return docs[0]
}
