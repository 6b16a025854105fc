package assert

import "testing"

// Whatever an assertion says, it has an answer or a reason why not.
func FuzzHolds(f *testing.F) {
	for _, seed := range []string{
		`len(results) == 2`, `results["s00"]["a"][0].Text["k"][4:] == "x"`, `"x" in results["s00"]["a"][-1].List`,
		`FloatApproxEqual(results["s00"]["a"][0].Numbers["f"], 0.1)`, `any(results["s00"]["a"], {.Name == "x"})`,
		`basename(results["s00"]["a"][0].GetText("k")) == "v"`, `results["s00"]["a"][0].Inner.Inner.Name == nil`, `1 / 0 == [`,
	} {
		f.Add(seed)
	}
	e := New(results(), helpers())
	f.Fuzz(func(t *testing.T, text string) {
		if holds, err := e.Holds(Rewrite(text)); holds && err != nil {
			t.Errorf("%q holds with the error %v", text, err)
		}
		e.Sides(text)
		e.Explained(text)
	})
}
