package source

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPositionsAreReleasedInOrderHoweverTheyAreDone(t *testing.T) {
	var released []int
	acks := NewAcks(func(position int) { released = append(released, position) })
	var done []func()
	for i := range 4 {
		done = append(done, acks.Add(i))
	}
	for _, step := range []struct {
		done int
		want []int
	}{
		{2, nil},
		{0, []int{0}},
		{0, []int{0}}, // again: nothing
		{1, []int{0, 1, 2}},
		{3, []int{0, 1, 2, 3}},
	} {
		done[step.done]()
		if diff := cmp.Diff(step.want, released); diff != "" {
			t.Errorf("after %d is done (-want +got):\n%s", step.done, diff)
		}
	}
}
