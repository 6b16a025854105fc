package cost

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/tools/loggen/logs"
	"gabion/userspace/bucket"
)

// handClock is a clock that goes on when it is told to.
type handClock struct{ now time.Time }

func (c *handClock) Now() time.Time { return c.now }

func TestTimeIsChargedToWhoTookIt(t *testing.T) {
	clock := &handClock{time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)}
	timer := newTimer(Options{Now: clock.Now})
	cheap, dear := &bucket.Scenario{Name: "cheap"}, &bucket.Scenario{Name: "dear"}
	timer.last = clock.now
	after := func(d time.Duration) { clock.now = clock.now.Add(d) }
	after(2 * time.Microsecond)
	timer.Offered(cheap, nil, nil, nil)
	after(5 * time.Microsecond)
	timer.Offered(dear, nil, &bucket.Match{}, nil)
	after(15 * time.Microsecond)
	timer.Poured(bucket.Poured{Scenario: dear})
	after(3 * time.Microsecond)
	timer.Concluded(nil, nil, nil)

	got := timer.report(2, time.Second)
	want := []RuleCost{
		{Kind: KindScenario, Name: "dear", Events: 1, Taken: 1, Seconds: 20e-6, PerEvent: 20_000, PerLine: 10_000, Buckets: 0.75, Share: 0.8},
		{Kind: KindProfiles, Name: "profiles", Events: 1, Seconds: 3e-6, PerEvent: 3_000, PerLine: 1_500, Share: 0.12},
		{Kind: KindScenario, Name: "cheap", Events: 1, Seconds: 2e-6, PerEvent: 2_000, PerLine: 1_000, Share: 0.08},
	}
	if len(got.Rules) != len(want) {
		t.Fatalf("%d rules, want %d", len(got.Rules), len(want))
	}
	for i, c := range got.Rules {
		shown := *c
		shown.time, shown.counting = 0, 0
		if diff := cmp.Diff(want[i], shown, cmp.AllowUnexported(RuleCost{})); diff != "" {
			t.Errorf("rule %d (-want +got):\n%s", i, diff)
		}
	}
	var text bytes.Buffer
	if err := got.Print(&text, 1); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"80.0%    10000     20000       1      1         75%  dear\n", "and 2 more", "12500 ns a line"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in:\n%s", want, text.String())
		}
	}
}

func TestEveryRuleThatWasAskedIsCounted(t *testing.T) {
	const lines = 2_000
	text, label := mustWrite(t, "auth", logs.Options{Lines: lines, Sources: 20})
	book := mustLoad(t)
	report, err := MeasureRules(t.Context(), options(book, bytes.NewReader(text), label))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Measure(t.Context(), options(book, bytes.NewReader(text), label))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*RuleCost{}
	share := 0.0
	for _, c := range report.Rules {
		found[c.Name] = c
		share += c.Share
	}
	if report.Lines != lines || share != 0 && math.Abs(share-1) > 1e-6 {
		t.Errorf("%d lines, shares add up to %v", report.Lines, share)
	}
	if c := found["gabion/syslog-envelope"]; c == nil || c.Events != lines || c.Taken != lines || !strings.HasSuffix(c.File, "syslog.yaml") || c.Line == 0 {
		t.Errorf("syslog parser: %+v", c)
	}
	if c := found["gabion/ssh-bruteforce"]; c == nil || c.Events == 0 || c.Taken > c.Events || c.Kind != KindScenario {
		t.Errorf("ssh scenario: %+v", c)
	}
	if c := found["profiles"]; c == nil || c.Taken != whole.Alerts {
		t.Errorf("profiles: %+v, want %d alerts", c, whole.Alerts)
	}
	for _, in := range []string{"", "broken"} {
		o := options(book, strings.NewReader(in), label)
		if in != "" {
			o.Input = iotest.ErrReader(errors.New(in))
		}
		if _, err := MeasureRules(t.Context(), o); err == nil || !strings.Contains(err.Error(), in) {
			t.Errorf("log %q: error %v", in, err)
		}
	}
}
