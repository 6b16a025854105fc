package expr_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/ruledoc"
	"gabion/userspace/yamlpos"
)

// world makes the same variables again and again, so that an expression meets them twice.
type world struct {
	seed  uint64
	hints hints
	rand  *rand.Rand
	texts []string
}

// hints are what an expression looks at and compares with.
type hints struct {
	texts []string
	names []string   // second names: evt.Meta.name
	paths [][]string // behind evt.Unmarshaled
}

// hintsOf collects the hints of an expression.
func hintsOf(src string) hints {
	var h hints
	tree, err := parser.Parse(src)
	if err != nil {
		return h
	}
	ast.Walk(&tree.Node, &h)
	return h
}

// Visit implements ast.Visitor.
func (h *hints) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.StringNode:
		h.texts = append(h.texts, n.Value)
	case *ast.MemberNode:
		if name, ok := n.Property.(*ast.StringNode); ok {
			h.names = append(h.names, name.Value)
		}
		if path := names(n); len(path) > 2 && path[0] == "evt" && path[1] == "Unmarshaled" {
			h.paths = append(h.paths, path[2:])
		}
	}
}

func names(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return []string{n.Value}
	case *ast.ChainNode:
		return names(n.Node)
	case *ast.MemberNode:
		if name, ok := n.Property.(*ast.StringNode); ok {
			if path := names(n.Node); path != nil {
				return append(path, name.Value)
			}
		}
	}
	return nil
}

func (w *world) text() string { return w.texts[w.rand.IntN(len(w.texts))] }

// leaf returns a value as JSON has it, or as helpers decode it.
func (w *world) leaf() any {
	leaves := []any{nil, true, false, 7.0, 7, "", []any{}, []any{"a", 1.0}, []any{map[string]any{"key": "user", "value": map[string]any{"login": "x"}}},
		map[string]any{"n": 1.0}, map[string]string{"pid": "42"}, []string{"a"}}
	if i := w.rand.IntN(len(leaves) + 2*len(w.texts)); i < len(leaves) {
		return leaves[i]
	}
	return w.text()
}

// vars makes the variables of a world: always the same.
func (w *world) vars() *expr.Vars {
	w.rand = rand.New(rand.NewPCG(w.seed, 7))
	w.texts = append([]string{"", "x", "a,b", "192.0.2.1", "42", "root"}, w.hints.texts...)
	for _, s := range w.hints.texts {
		w.texts = append(w.texts, strings.ToUpper(s)+"x")
	}
	queue := &expr.Queue{L: 3}
	for range w.rand.IntN(5) {
		queue.Queue = append(queue.Queue, w.event())
	}
	evt := w.event()
	alert := &decision.Alert{Scenario: w.text(), Remediation: w.rand.IntN(2) == 0, EventsCount: 3, StopAt: time.Unix(1e9, 0).UTC(),
		Source: &decision.Source{Scope: "Ip", Value: "192.0.2.1", IP: "192.0.2.1", Range: "192.0.2.0/24"},
		Events: []decision.Event{{Meta: []decision.Meta{{Key: "exe", Value: w.text()}}}, {Timestamp: "t"}}}
	if w.rand.IntN(3) == 0 {
		alert.Source = nil
	}
	run := event.RuntimeAlert{Mapkey: "k", Sources: map[string]*decision.Source{"192.0.2.1": {Scope: "Ip"}}, APIAlerts: []*decision.Alert{alert}}
	if w.rand.IntN(3) > 0 {
		run.Alert = alert
	}
	if w.rand.IntN(3) == 0 {
		evt.Type, evt.Overflow = event.Overflow, run
	}
	v := &expr.Vars{Event: evt, Alert: alert, Queue: queue, Signal: &run,
		Leaky: &expr.Leaky{Total_count: w.rand.IntN(9), Mapkey: "k", First_ts: time.Unix(1e9, 0).UTC(), Duration: time.Minute, Queue: queue}}
	if w.rand.IntN(12) == 0 {
		v.Event = nil
	}
	if w.rand.IntN(2) == 0 {
		v.Match, v.Req = map[string]any{}, &http.Request{Method: w.text(), Host: w.text(), Header: http.Header{"User-Agent": {w.text()}}}
		for _, name := range w.hints.names {
			v.Match[name] = w.leaf()
		}
	}
	return v
}

func (w *world) event() *event.Event {
	e := &event.Event{
		Stage: w.text(), StrTime: w.text(), MarshaledTime: w.text(), Whitelisted: w.rand.IntN(2) == 0,
		Time: time.Unix(1e9+int64(w.rand.IntN(1e6)), 0).UTC(),
		Line: event.Line{Raw: w.text(), Src: w.text(), Module: w.text(), Labels: map[string]string{"type": w.text()}},
	}
	for _, set := range []event.FieldSet{event.InMeta, event.InParsed, event.InEnriched} {
		for _, name := range w.hints.names {
			if w.rand.IntN(3) > 0 {
				e.In(set).Set(name, w.text())
			}
		}
	}
	for _, path := range w.hints.paths {
		if w.rand.IntN(4) == 0 {
			continue
		}
		if e.Unmarshaled == nil {
			e.Unmarshaled = map[string]any{}
		}
		m := e.Unmarshaled
		for _, name := range path[:len(path)-1] {
			next, ok := m[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				m[name] = next
			}
			m = next
		}
		m[path[len(path)-1]] = w.leaf()
	}
	return e
}

// effects are what an expression can change.
func effects(v *expr.Vars) string {
	var out strings.Builder
	note := func(e *event.Event) {
		if e != nil {
			fmt.Fprintln(&out, e.Meta.Map(), e.Parsed.Map(), e.Enriched.Map(), e.Unmarshaled)
		}
	}
	note(v.Event)
	for _, e := range v.Queue.Queue {
		note(e)
	}
	return strings.ReplaceAll(out.String(), "map[]", "") // one that is made and left empty tells nothing
}

// differ runs a compiled expression and the machine in the same world and returns how they differ.
func differ(p *expr.Program, w *world) string {
	a, b := w.vars(), w.vars()
	got, gotErr := p.Value(a)
	want, wantErr := p.Interpret(b)
	if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
		return fmt.Sprintf("error %v, want %v", gotErr, wantErr)
	}
	sameNaN := cmp.Comparer(func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })
	diff := cmp.Diff(want, got, sameNaN, cmp.Exporter(func(reflect.Type) bool { return true }))
	if diff != "" {
		return "value (-want +got):\n" + diff
	}
	if x, y := effects(a), effects(b); x != y {
		return "effects " + x + "want " + y
	}
	return ""
}

func differCompiler() *expr.Compiler {
	lib := exprlib.New(exprlib.Deps{Now: func() time.Time { return time.Unix(1e9, 0).UTC() }, Data: fstest.MapFS{
		"words.txt": {Data: []byte("x\nYWI=\nab\nx/y\n")}, "nets.txt": {Data: []byte("192.0.2.0/24\n2001:db8::/32\nnone\n")}, "rows.json": {Data: []byte(`{"uri":"x","cve":"y"}` + "\n" + `{"uri":"","cve":"z"}` + "\n" + `{"uri":"b"}`)},
	}})
	lib.LoadDeclared([]ruledoc.DataFile{{DestFile: "words.txt", Type: "string"}, {DestFile: "nets.txt", Type: "string"}, {DestFile: "rows.json", Type: "string"}})
	return expr.NewCompiler(append(lib.Functions(), expr.Function{
		Name: "Boom", Types: []any{new(func(string) bool)}, Call: func(args ...any) (any, error) { return args[3], nil },
	})...)
}

func source(text string) yamlpos.Text {
	return yamlpos.Text{Text: text, Pos: yamlpos.Position{File: "f.yaml", Line: 1, Column: 1}, Set: true}
}

// TestClosuresDoWhatTheMachineDoes runs every expression in many worlds.
func TestClosuresDoWhatTheMachineDoes(t *testing.T) {
	c := differCompiler()
	left := 0
	for _, src := range expressions {
		for _, env := range []expr.Env{expr.EnvEvent, expr.EnvQueue, expr.EnvOverflow, expr.EnvProfile, expr.EnvContext} {
			for _, want := range []expr.Kind{expr.Any, expr.Bool} {
				p, err := c.Compile(source(src), env, want)
				if err != nil {
					continue
				}
				if construct, ok := p.Interpreted(); ok {
					left++
					t.Logf("%s: %s", src, construct)
					continue
				}
				for seed := range uint64(25) {
					if diff := differ(p, &world{seed: seed, hints: hintsOf(src)}); diff != "" {
						t.Errorf("%s\nin world %d: %s", src, seed, diff)
						break
					}
				}
			}
		}
	}
	if left > 0 {
		t.Errorf("%d programs are left to the machine", left)
	}
}

// TestWhatAnIndexLeavesOutIsFalse checks the promises of Requires and of Needs: who is left out would
// have been false, without an error and without an effect.
func TestWhatAnIndexLeavesOutIsFalse(t *testing.T) {
	c := differCompiler()
	out, asked := 0, 0
	for _, src := range slices.Concat(expressions, filters) {
		p, err := c.Compile(source(src), expr.EnvEvent, expr.Bool)
		if err != nil {
			continue
		}
		out, asked = out+mustLeaveOut(t, p), asked+leftOutWorlds
	}
	if out < asked/50 {
		t.Errorf("%d of %d are left out: this tests nothing", out, asked)
	}
}

const leftOutWorlds = 60

// mustLeaveOut checks an expression in many worlds and returns how often it is left out.
func mustLeaveOut(t *testing.T, p *expr.Program) (out int) {
	t.Helper()
	for seed := range uint64(leftOutWorlds) {
		if leftOut(t, p, &world{seed: seed, hints: hintsOf(p.Source())}) {
			out++
		}
	}
	return out
}

// leftOut reports whether an index leaves the expression out, and checks that it is false then.
func leftOut(t *testing.T, p *expr.Program, w *world) bool {
	t.Helper()
	index, needs := expr.NewIndex([][]expr.Condition{p.Requires()}), expr.NewNeeds([]*expr.Program{p})
	v := w.vars()
	if v.Event == nil {
		return false
	}
	s := index.Select(v.Event, nil)
	needs.Narrow(v, s)
	if s.Next(0) == 0 {
		return false
	}
	v = w.vars()
	if ok, err := p.Bool(v); ok || err != nil || effects(v) != effects(w.vars()) {
		t.Errorf("%s\nin world %d: left out, but gives %v, %v", p.Source(), w.seed, ok, err)
	}
	return true
}

// FuzzClosures looks for expressions that closures and the machine do not agree on.
func FuzzClosures(f *testing.F) {
	for _, src := range slices.Concat(expressions, filters) {
		f.Add(src, uint64(1))
	}
	c := differCompiler()
	changing := []string{"..", "now", "keys", "values", "toPairs", "groupBy", "GetSources", "repeat"} // slow, or another result each time
	f.Fuzz(func(t *testing.T, src string, seed uint64) {
		if len(src) > 1000 || slices.ContainsFunc(changing, func(s string) bool { return strings.Contains(src, s) }) {
			return
		}
		if p, err := c.Compile(source(src), expr.EnvEvent, expr.Bool); err == nil {
			leftOut(t, p, &world{seed: seed, hints: hintsOf(src)})
		}
		for _, env := range []expr.Env{expr.EnvQueue, expr.EnvOverflow, expr.EnvProfile, expr.EnvContext} {
			p, err := c.Compile(source(src), env, expr.Any)
			if err != nil {
				continue
			}
			if _, left := p.Interpreted(); left {
				continue
			}
			if diff := differ(p, &world{seed: seed, hints: hintsOf(src)}); diff != "" {
				t.Errorf("%s\nin world %d: %s", src, seed, diff)
			}
		}
	})
}

// TestTheHubsExpressions does for a checkout of the public hub what TestClosuresDoWhatTheMachineDoes
// does for ours, and says how many of its expressions are compiled.
func TestTheHubsExpressions(t *testing.T) {
	dir := os.Getenv("GABION_HUB")
	if dir == "" {
		t.Skip("SKIPPED: GABION_HUB names no checkout of the public hub: its expressions are not tested")
	}
	c := differCompiler()
	count, compiled, refused := 0, 0, 0
	reasons := map[string]int{}
	for _, e := range hubExpressions(t, dir) {
		p, err := c.Compile(source(e.text), e.env, e.want)
		if err != nil {
			refused++
			t.Logf("refused: %v: %.100q", err, e.text)
			continue
		}
		count += e.count
		if construct, left := p.Interpreted(); left {
			reasons[construct] += e.count
			t.Logf("%s: %q", construct, e.text)
			continue
		}
		compiled += e.count
		if e.want == expr.Bool && e.env == expr.EnvEvent {
			mustLeaveOut(t, p)
		}
		for seed := range uint64(20) {
			if diff := differ(p, &world{seed: seed, hints: hintsOf(e.text)}); diff != "" {
				t.Errorf("%s\nin world %d: %s", e.text, seed, diff)
				break
			}
		}
	}
	t.Logf("%d expressions, %d compiled (%.2f %%), %d refused; left to the machine: %v", count, compiled, 100*float64(compiled)/float64(count), refused, reasons)
	if compiled*100 < count*95 {
		t.Errorf("%d of %d expressions are compiled, want 95 %%", compiled, count)
	}
}
