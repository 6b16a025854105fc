package parse

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// TestAStageOfManyNodesRunsThoseItWouldRunOneByOne compares runs that an index shortens with traced
// runs, which ask every node. Nodes set what filters of others ask for.
func TestAStageOfManyNodesRunsThoseItWouldRunOneByOne(t *testing.T) {
	value := rapid.SampledFrom([]string{"a", "b", "c"})
	key := rapid.SampledFrom([]string{"x", "y"})
	rapid.Check(t, func(rt *rapid.T) {
		var rules []rule
		for i := range rapid.IntRange(indexedNodes, 30).Draw(rt, "nodes") {
			filter := fmt.Sprintf("evt.Meta.%s == '%s'", key.Draw(rt, "key"), value.Draw(rt, "value"))
			switch rapid.IntRange(0, 9).Draw(rt, "kind of filter") {
			case 0:
				filter = "true"
			case 1:
				filter = fmt.Sprintf("evt.Meta.%s == '' && evt.SetMeta('%s', '%s') && evt.Meta.none != ''", key.Draw(rt, "asked"), key.Draw(rt, "set"), value.Draw(rt, "value"))
			case 2:
				filter = fmt.Sprintf("evt.Meta.%s == '' && evt.Parsed.none == ''", key.Draw(rt, "asked"))
			}
			rules = append(rules, doc("s00", fmt.Sprintf(
				"name: n%d\nfilter: %q\nstatics: [{meta: %s, value: %s}, {meta: order, expression: \"evt.Meta.order + ' %d'\"}]",
				i, filter, key.Draw(rt, "key"), value.Draw(rt, "value"), i)))
		}
		p := mustCompile(t, rules...)
		if p.stages[0].index == nil {
			rt.Fatal("the stage has no index")
		}
		indexed, asked := line("l"), line("l")
		for _, k := range []string{"x", "y"} {
			if rapid.Bool().Draw(rt, "begins with "+k) {
				v := value.Draw(rt, "value")
				indexed.Meta.Set(k, v)
				asked.Meta.Set(k, v)
			}
		}
		if err := p.Run(indexed); err != nil {
			rt.Fatal(err)
		}
		if err := p.RunTraced(asked, func(Step) {}); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(outcome(asked), outcome(indexed), cmpopts.EquateEmpty()); diff != "" {
			rt.Errorf("with the index (-one by one +indexed):\n%s", diff)
		}
	})
}

func TestAFilterThatSetsAFieldIsSeenByTheIndex(t *testing.T) {
	rules := []rule{doc("s00", "name: sets\nfilter: evt.SetMeta('x', 'a') && evt.Meta.none != ''\nstatics: [{meta: never, value: x}]")}
	for i := range indexedNodes {
		rules = append(rules, doc("s00", fmt.Sprintf("name: n%d\nfilter: evt.Meta.x == '%c'\nstatics: [{meta: order, value: '%d'}]", i, 'b'-i%2, i)))
	}
	evt := line("l")
	if err := mustCompile(t, rules...).Run(evt); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strs("x", "a", "order", "7"), evt.Meta.Map()); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}
