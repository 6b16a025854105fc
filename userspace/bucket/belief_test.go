package bucket

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func bayesian(extra string) string {
	return "type: bayesian\nname: b\ndescription: d\nfilter: 'true'\ncapacity: -1\nleakspeed: 10s\n" + extra
}

const clues = `
bayesian_prior: 0.1
bayesian_threshold: 0.5
bayesian_conditions:
- {condition: evt.Meta.user == 'root', prob_given_evil: 0.8, prob_given_benign: 0.2}
- {condition: leaky.Total_count > 2, prob_given_evil: 0.9, prob_given_benign: 0.3}
- {condition: "any(queue.Queue, {.Meta.port == '2222'})", prob_given_evil: 0.7, prob_given_benign: 0.1}
`

// The odds of an attack are 1:9 to begin with. Root makes them 4 times, not root a quarter of that;
// more than two events 3 times, not more a seventh; the port 7 times, another a third.
func TestABayesianBucketOverflowsWhenAnAttackIsLikely(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []string // user, or user:port
		want   int      // event that overflows, 0 for none
	}{
		{"all that speaks for it", []string{"root:2222", "root", "root"}, 3}, // 84:9
		{"two of three are enough when they say much", []string{"root", "root", "eve:2222", "root"}, 4},
		{"the events alone are not", []string{"eve", "eve", "eve", "eve"}, 0},
		{"root and the port without many events", []string{"root:2222"}, 0}, // 4:9
		{"root many times", []string{"root", "root", "root", "root"}, 0},    // 4:9
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, s, got := newHarness(t, TableConfig{}), mustCompile(t, bayesian(clues)), 0
			for i, e := range tt.events {
				user, port, _ := strings.Cut(e, ":")
				out, err := h.pourErr(s, at(time.Duration(i)*time.Second, "192.0.2.1", "user", user, "port", port))
				if err != nil {
					t.Fatal(err)
				}
				if out != nil && got == 0 {
					got = i + 1
				}
			}
			if got != tt.want {
				t.Errorf("event %d overflows, want %d", got, tt.want)
			}
		})
	}
}

func TestAClueThatLastsHoldsUntilTheEndOfItsBucket(t *testing.T) {
	text := func(guillotine string) string {
		return bayesian("groupby: evt.Meta.source_ip\nbayesian_prior: 0.5\nbayesian_threshold: 0.7\nbayesian_conditions:\n" +
			"- {condition: evt.Meta.user == 'root', prob_given_evil: 0.6, prob_given_benign: 0.4" + guillotine + "}\n" +
			"- {condition: leaky.Total_count == 3, prob_given_evil: 0.7, prob_given_benign: 0.3}\n")
	}
	for _, tt := range []struct {
		name, keys string
		want       bool
	}{
		{"lasting", ", guillotine: true", true}, {"not lasting", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHarness(t, TableConfig{}), mustCompile(t, text(tt.keys))
			h.pour(s, at(0, "192.0.2.2", "user", "root")) // of another bucket
			for i, user := range []string{"root", "eve"} {
				if h.pour(s, at(time.Duration(i)*time.Second, "192.0.2.1", "user", user)) != nil {
					t.Fatal("too early")
				}
			}
			if got := h.pour(s, at(2*time.Second, "192.0.2.1", "user", "eve")) != nil; got != tt.want {
				t.Errorf("overflow = %v, want %v", got, tt.want)
			}
			for i := range 3 { // a new bucket has seen nothing
				if h.pour(s, at(time.Minute+time.Duration(i)*time.Second, "192.0.2.1", "user", "eve")) != nil {
					t.Error("the clue outlived its bucket")
				}
			}
		})
	}
}

func TestAFailingClueSaysNothing(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, bayesian("bayesian_prior: 0.5\nbayesian_threshold: 0.6\nbayesian_conditions:\n"+
		"- {condition: evt.Unmarshaled.a.b == 1, prob_given_evil: 0.1, prob_given_benign: 0.9}\n"+
		"- {condition: 'true', prob_given_evil: 0.9, prob_given_benign: 0.1}\n"))
	out, err := h.pourErr(s, at(0, "192.0.2.1"))
	if out == nil || err == nil || !strings.Contains(err.Error(), "bayesian condition: test.yaml:10:") {
		t.Errorf("%v, %v", out, err)
	}
}

func TestALeakyBucketMayBeConvincedToo(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, leaky("bayesian_prior: 0.5\nbayesian_threshold: 0.6\nbayesian_conditions:\n"+
		"- {condition: evt.Meta.user == 'root', prob_given_evil: 0.9, prob_given_benign: 0.1}\n"))
	if h.pour(s, at(0, "192.0.2.1", "user", "eve")) != nil || h.pour(s, at(0, "192.0.2.1", "user", "root")) == nil {
		t.Error("not the second event overflows")
	}
}

func TestTheExpressionsOfABayesianScenarioAreListed(t *testing.T) {
	var got []string
	for _, k := range mustCompile(t, bayesian("groupby: evt.Meta.source_ip\n"+clues)).Expressions() {
		got = append(got, k.Key+": "+k.Program.Source())
	}
	want := []string{
		"filter: true", "groupby: evt.Meta.source_ip", "bayesian_conditions: evt.Meta.user == 'root'",
		"bayesian_conditions: leaky.Total_count > 2", "bayesian_conditions: any(queue.Queue, {.Meta.port == '2222'})",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("expressions differ (-want +got):\n%s", diff)
	}
}
