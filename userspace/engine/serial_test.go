package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stashing remembers who a session is of, and later lines tell only the session.
const stashing = `
stage: s02-enrich
name: test/sessions
nodes:
- filter: evt.Meta.log_type == 'login'
  stash: [{name: sessions, key: evt.Parsed.rest, value: evt.Meta.source_ip, ttl: 1h, size: 10000}]
  statics: [{meta: kind, value: login}]
- filter: evt.Meta.log_type == 'fail'
  statics:
  - {meta: source_ip, expression: "GetFromStash('sessions', evt.Parsed.rest)"}
  - {meta: kind, value: fail}
`

func TestWhatParsersRememberDoesNotDependOnWorkers(t *testing.T) {
	files := ruleFiles(map[string]string{
		"sessions.yaml": stashing,
		"fail.yaml":     "type: trigger\nname: fail\ndescription: d\nfilter: evt.Meta.kind == 'fail'\n",
		"parser.yaml":   strings.Replace(base, "statics:", "onsuccess: next_stage\nstatics:", 1),
	})
	var log strings.Builder
	for i := range 4000 { // each session is of one address, then of another
		fmt.Fprintf(&log, "%d 192.0.2.%d login s%d\n%d x fail s%d\n", i, i%250, i%97, i, i*i%97)
	}
	want, totals := mustReplay(t, files, log.String(), ReplayOptions{})
	if totals.Alerts < 1000 {
		t.Fatalf("only %d alerts", totals.Alerts)
	}
	for _, n := range []int{2, 4} {
		got, _ := mustReplay(t, files, log.String(), ReplayOptions{Workers: n, Shards: 2})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d workers (-want +got):\n%.2000s", n, diff)
		}
	}
}
