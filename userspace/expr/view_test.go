package expr

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
)

// TestViewsHaveTheFieldsOfWhatTheyShow checks what closures rely on: they find a field by the place
// that it has in the view which the expression was checked against.
func TestViewsHaveTheFieldsOfWhatTheyShow(t *testing.T) {
	for _, tt := range []struct{ view, of reflect.Type }{
		{reflect.TypeFor[view](), reflect.TypeFor[event.Event]()},
		{reflect.TypeFor[queueView](), reflect.TypeFor[Queue]()},
		{reflect.TypeFor[leakyView](), reflect.TypeFor[Leaky]()},
	} {
		if diff := cmp.Diff(exported(tt.of), exported(tt.view)); diff != "" {
			t.Errorf("%v (-%v +%v):\n%s", tt.view, tt.of, tt.view, diff)
		}
	}
}

func exported(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && f.Name != "Kept" {
			names = append(names, f.Name)
		}
	}
	return names
}

func TestWhatIsLeftOfAConditionIsCompiled(t *testing.T) {
	for _, src := range []string{
		"count(queue.Queue, .Meta.log_type == 'a') > 3 && any(queue.Queue, .Meta.log_type == 'b')",
		"let failed = filter(queue.Queue, .Meta.x == 'a'); len(failed) > 2 && failed[-1].Meta.y == ''",
		"len(queue.Queue) >= 4 && count(queue.Queue[-4:], .Meta.x == 'a') > 1",
	} {
		q := testCompiler().CompileQueue(inFile(src), nil)
		if q == nil {
			t.Errorf("%s is not taken apart", src)
			continue
		}
		if construct, left := q.Rest.Interpreted(); left {
			t.Errorf("%s: %s is left to the machine", q.Rest.Source(), construct)
		}
	}
}
