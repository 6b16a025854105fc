package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPercentilesAreValuesThatWereMeasured(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i)*time.Millisecond)
	}
	for _, tt := range []struct {
		name    string
		samples []time.Duration
		want    *Distribution
	}{
		{"nothing measured", nil, nil},
		{"one sample", []time.Duration{1500 * time.Microsecond}, &Distribution{1.5, 1.5, 1.5, 1}},
		{"two samples", []time.Duration{4 * time.Millisecond, 2 * time.Millisecond}, &Distribution{2, 4, 4, 2}},
		{"a hundred, unsorted", hundred, &Distribution{50, 99, 100, 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Summarise(tt.samples)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// good is a report with nothing to complain about.
func good() *Report {
	fine, none := &Distribution{1, 2, 3, 20}, 0
	return &Report{
		XDPMode: "native",
		Attacks: []Attack{
			{Name: "ssh-bruteforce", Family: "ipv4", Banned: true, Sources: 2, BannedSources: 2, LineToDropMS: fine, DroppedPackets: 9, ArrivedBefore: 5},
			{Name: "connection-flood", Family: "ipv6", Banned: true, Sources: 2, BannedSources: 2, EventsToDropMS: fine, DroppedPackets: 9, ArrivedBefore: 5, PassedAboveLimit: &none},
		},
		SYNFlood: &SYNFlood{
			Sources: 5, Seconds: 1, Sent: 10, Rate: 10, Shed: 8, Passed: 2,
			Calm: Client{Requests: 9, LatencyMS: fine}, Flood: Client{Requests: 9, LatencyMS: &Distribution{5, 20, 30, 9}},
		},
		Client: Client{Requests: 10},
		Chaos:  &Chaos{Kind: "kill", BannedBefore: 3, BannedAfter: 3, Restored: 2, Adopted: 1, DroppedWhileDead: 4, ExpiredWhileDead: true, ShortBanHeld: 1},
	}
}

func TestACheckNamesEveryThingThatDoesNotHold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*Report)
		want  string // part of the only error; empty: none
	}{
		{"a good report", func(*Report) {}, ""},
		{"no chaos wanted", func(r *Report) { r.Chaos = nil }, ""},
		{"generic XDP", func(r *Report) { r.XDPMode = "generic" }, "xdp_mode"},
		{"a source not banned", func(r *Report) { r.Attacks[0].Banned, r.Attacks[0].BannedSources = false, 1 }, "1 of 2 sources are banned"},
		{"nothing dropped", func(r *Report) { r.Attacks[1].DroppedPackets = 0 }, "connection-flood ipv6: no packet was dropped"},
		{"a leak", func(r *Report) { r.Attacks[0].LeakedAfterBan = 1 }, "reached the server"},
		{"a blind observer", func(r *Report) { r.Attacks[0].ArrivedBefore = 0 }, "cannot be trusted"},
		{"an overrun observer", func(r *Report) { r.LostObservations = 1 }, "cannot be trusted"},
		{"too slow", func(r *Report) { r.Attacks[0].LineToDropMS = &Distribution{1, 50, 60, 20} }, "line_to_drop_ms.p99"},
		{"nothing measured", func(r *Report) { r.Attacks[0].LineToDropMS = nil }, "no time"},
		{"a failed request", func(r *Report) { r.Client.Failed = 1 }, "1 of 10 requests"},
		{"no request", func(r *Report) { r.Client.Requests = 0 }, "no request"},
		{"a connection above the limit", func(r *Report) { n := 1; r.Attacks[1].PassedAboveLimit = &n }, "connection-flood ipv6: passed_above_limit is 1"},
		{"no flood of SYNs", func(r *Report) { r.SYNFlood = nil }, "did not take place"},
		{"a flood from fewer sources", func(r *Report) { r.SYNFlood.Sent = 4 }, "4 SYNs were sent"},
		{"a flood that nothing sheds", func(r *Report) { r.SYNFlood.Shed = 0 }, "nothing was shed"},
		{"a flood above the limit", func(r *Report) { r.SYNFlood.PassedAboveLimit = 1 }, "syn_flood: passed_above_limit is 1 of 2"},
		{"a flood that nobody saw", func(r *Report) { r.SYNFlood.Passed = 0 }, "cannot be trusted"},
		{"a ban of a made-up source", func(r *Report) { r.SYNFlood.Bans = 1 }, "1 bans were made"},
		{"a page lost in the flood", func(r *Report) { r.SYNFlood.Flood.Failed = 1 }, "1 of 9 requests failed"},
		{"no page in the flood", func(r *Report) { r.SYNFlood.Flood.LatencyMS = nil }, "got no page"},
		{"a connection shed by mistake", func(r *Report) { r.SYNFlood.Flood.LatencyMS = &Distribution{5, 20, 1003, 9} }, "took 1003 ms"},
		{"a client slowed down", func(r *Report) { r.SYNFlood.Flood.LatencyMS = &Distribution{22, 40, 50, 9} }, "p50 is 22.0, and was 1.0"},
		{"a pin left", func(r *Report) { r.Leftovers.Pins = 1 }, "left behind"},
		{"bans lost", func(r *Report) { r.Chaos.BannedAfter = 2 }, "banned_after"},
		{"bans unknown to the new daemon", func(r *Report) { r.Chaos.Restored = 0 }, "restored 0 and adopted 1"},
		{"nothing dropped while dead", func(r *Report) { r.Chaos.DroppedWhileDead = 0 }, "dropped_while_dead"},
		{"a ban that outlived its time", func(r *Report) { r.Chaos.ExpiredWhileDead = false }, "did not expire"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.spoil(r)
			errs := r.Check()
			switch {
			case tt.want == "" && len(errs) > 0:
				t.Errorf("errors = %v", errs)
			case tt.want != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), tt.want)):
				t.Errorf("errors = %v, want one with %q", errs, tt.want)
			}
		})
	}
}

func TestTheReportHasTheKeysThatScriptsRead(t *testing.T) {
	data, err := json.Marshal(good())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		`"xdp_mode":"native"`, `"name":"ssh-bruteforce"`, `"family":"ipv4"`, `"banned":true`, `"line_to_drop_ms":{"p50":1,"p99":2,"max":3`,
		`"events_to_drop_ms":{"p50":1`, `"passed_above_limit":0}`, `"syn_flood":{"sources":5`, `"shed":8`, `"dropped_packets":9`, `"leaked_after_ban":0`, `"client":{"requests":10,"failed":0`,
		`"leftovers":{"namespaces":0,"links":0,"pins":0,"processes":0}`, `"dropped_while_dead":4`, `"adopted":1`, `"prolonged":0`, `"restored":2`, `"expired_while_dead":true`,
	} {
		if !strings.Contains(string(data), key) {
			t.Errorf("no %s in %s", key, data)
		}
	}
}

func TestTheSummaryNamesEveryAttackAndWhatToDoNext(t *testing.T) {
	var b strings.Builder
	if err := good().Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ssh-bruteforce", "connection-flood", "1.0 / 2.0 / 3.0 ms", "Left behind: nothing", "make run IFACE=", "dead for", "8 of 10 shed in the kernel"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
