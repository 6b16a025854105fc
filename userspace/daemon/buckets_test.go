package daemon

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"

	"gabion/userspace/client"
)

// patient is a scenario whose buckets outlive any test.
const patient = `type: leaky
name: test/patient
description: d
filter: evt.Meta.service == 'ssh'
groupby: evt.Meta.source_ip
capacity: 5
leakspeed: 1h
labels: {remediation: true}
`

// newPatientRig returns a rig with that scenario besides the shipped parsers, and what its
// configuration needs for it.
func newPatientRig(t *testing.T) (*rig, string) {
	r := newRig(t)
	if err := os.Mkdir(r.path("rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.write("rules/patient.yaml", patient)
	return r, "rules: {dirs: [" + r.path("rules") + "]}\n"
}

// fail writes so many failures of an address to the log.
func (r *rig) fail(ip string, times int) {
	r.t.Helper()
	f, err := os.OpenFile(r.path("auth.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	for i := range times {
		fmt.Fprintf(f, "Feb 12 14:10:1%d h sshd[1]: Failed password for root from %s port 1 ssh2\n", i, ip)
	}
}

// read waits until the daemon has read so many lines since it started.
func (r *rig) read(lines uint64) {
	r.t.Helper()
	r.until("lines read", func() bool {
		st, err := r.client.Status(r.t.Context())
		return err == nil && len(st.Sources) == 1 && st.Sources[0].Events >= lines
	})
}

// lines returns how many log lines led to the ban of an address.
func (r *rig) lines(ip string) int {
	r.t.Helper()
	r.until("ban", func() bool { return r.banned(ip) })
	why, err := r.client.Why(r.t.Context(), netip.MustParseAddr(ip))
	if err != nil || len(why.Bans) == 0 {
		r.t.Fatalf("why = %+v, %v", why, err)
	}
	return len(why.Bans[0].Lines)
}

func TestBucketsOutliveTheDaemon(t *testing.T) {
	const ip = "198.51.100.1"
	for _, tt := range []struct {
		name    string
		between func(r *rig) // the first daemon and the second
		fail    int          // failures that then lead to a ban
		log     string
	}{
		{"as they were saved", func(*rig) {}, 1, `msg="buckets restored"`},
		{"also when a later save was not finished", func(r *rig) { r.write("state/buckets.new", "gabion buck") }, 1, `msg="buckets restored"`},
		{"unless what was saved is damaged", func(r *rig) { r.write("state/buckets", "nonsense") }, 6, `level=WARN msg="saved buckets not used`},
		{"or the scenario is another", func(r *rig) {
			r.write("rules/patient.yaml", strings.Replace(patient, "leakspeed: 1h", "leakspeed: 2h", 1))
		}, 6, `msg="buckets dropped: their scenario changed or is gone" scenario=test/patient count=1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, rules := newPatientRig(t)
			extra := rules + "simulation: {scenarios: [gabion/ssh-bruteforce]}\n" // is not to come first
			r.start(extra)
			r.fail(ip, 5)
			r.read(5)
			r.stop()
			tt.between(r)
			r.start(extra)
			if n := strings.Count(r.log.String(), tt.log); n != 1 {
				t.Errorf("the log has %d times %s:\n%s", n, tt.log, r.log)
			}
			r.fail(ip, tt.fail)
			if got := r.lines(ip); got != 6 {
				t.Errorf("%d lines led to the ban, want 6", got)
			}
			r.stop()
		})
	}
}

func TestAfterACrashTheBucketsSavedLastGoOn(t *testing.T) {
	const ip = "198.51.100.2"
	r, rules := newPatientRig(t)
	r.start(rules)
	r.fail(ip, 5)
	r.read(5)
	r.stop()
	saved, err := os.ReadFile(r.path("state/buckets"))
	if err != nil {
		t.Fatal(err)
	}
	r.start(rules)
	r.fail(ip, 1)
	r.lines(ip)
	if _, err := r.client.DeleteDecisions(t.Context(), url.Values{"ip": {ip}}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.write("state/buckets", string(saved)) // as if the last daemon had been killed before it saved
	r.start(rules)
	r.fail(ip, 1)
	if got := r.lines(ip); got != 6 {
		t.Errorf("%d lines led to the ban, want 6", got)
	}
	r.stop()
}

func TestASimulatedScenarioBansNobody(t *testing.T) {
	const ip = "198.51.100.3"
	for _, tt := range []struct {
		name, config string
		banned       bool
	}{
		{"one by name", "simulation: {scenarios: [test/patient, gabion/ssh-bruteforce]}\n", false},
		{"all", "simulation: {all: true}\n", false},
		{"all but it", "simulation: {all: true, except: [test/patient]}\n", true},
		{"another", "simulation: {scenarios: [gabion/ssh-bruteforce]}\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, rules := newPatientRig(t)
			r.start(rules + tt.config)
			r.fail(ip, 6)
			decisions := func() (out []client.Decision) {
				all, err := r.client.Decisions(t.Context(), url.Values{"ip": {ip}, "simulated": {"true"}})
				for _, d := range all {
					if d.Scenario == "test/patient" && err == nil {
						out = append(out, d)
					}
				}
				return out
			}
			r.until("decision", func() bool { return len(decisions()) > 0 })
			if d := decisions()[0]; d.Simulated == nil || *d.Simulated == tt.banned {
				t.Errorf("decision = %+v", d)
			}
			if got := r.banned(ip); got != tt.banned {
				t.Errorf("banned = %v, want %v", got, tt.banned)
			}
			why, err := r.client.Why(t.Context(), netip.MustParseAddr(ip))
			if want := map[bool]string{true: client.VerdictBanned, false: client.VerdictShadow}[tt.banned]; err != nil || why.Verdict != want {
				t.Errorf("verdict = %s, %v, want %s", why.Verdict, err, want)
			}
			r.stop()
		})
	}
}

func TestASimulatedScenarioThatThereIsNotIsAProblem(t *testing.T) {
	r := newRig(t)
	r.start("simulation: {scenarios: [gabion/ssh-brute]}\n")
	st, err := r.client.Status(t.Context())
	if err != nil || len(st.Problems) == 0 || !strings.Contains(strings.Join(st.Problems, "\n"), "simulation names the scenario gabion/ssh-brute, which is not among the rules") {
		t.Errorf("status = %+v, %v", st, err)
	}
	r.stop()
}
