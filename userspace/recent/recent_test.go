package recent

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestTheValueUnusedForLongestGoes(t *testing.T) {
	c := New[string, int](2)
	c.Put("a", 1)
	c.Put("b", 2)
	c.Get("a")
	c.Put("c", 3)
	if _, ok := c.Get("b"); ok {
		t.Error("b was unused for longest and is still there")
	}
	if v, ok := c.Get("a"); !ok || v != 1 {
		t.Errorf("a = %d, %v", v, ok)
	}
	if c.Len() != 2 {
		t.Errorf("%d values in a cache of 2", c.Len())
	}
}

func TestALargeCacheIsBounded(t *testing.T) {
	c := New[int, int](4096)
	for i := range 100_000 {
		c.Put(i, i)
	}
	if n := c.Len(); n != 4096 {
		t.Errorf("%d values in a cache of 4096", n)
	}
}

func TestConcurrentUseKeepsKeysAndValuesTogether(t *testing.T) {
	c := New[string, int](2000)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 5000 {
				n := i * (w + 1)
				c.Put(strconv.Itoa(n), n)
				if v, ok := c.Get(strconv.Itoa(i)); ok && v != i {
					t.Errorf("%d has the value %d", i, v)
				}
			}
		})
	}
	wg.Wait()
}

// TestCacheAgainstAList compares a cache with a plain list in order of use.
func TestCacheAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 5).Draw(t, "size")
		c := New[int, int](size)
		type pair struct{ key, value int }
		var list []pair
		find := func(key int) int { return slices.IndexFunc(list, func(p pair) bool { return p.key == key }) }
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			key := rapid.IntRange(0, 7).Draw(t, "key")
			i := find(key)
			if rapid.Bool().Draw(t, "put") {
				value := rapid.Int().Draw(t, "value")
				c.Put(key, value)
				if i >= 0 {
					list = slices.Delete(list, i, i+1)
				}
				if list = append(list, pair{key, value}); len(list) > max(size, 1) {
					list = list[1:]
				}
				continue
			}
			value, ok := c.Get(key)
			if ok != (i >= 0) || ok && value != list[i].value {
				t.Fatalf("Get(%d) = %d, %v, want %v", key, value, ok, list)
			}
			if ok {
				list = append(slices.Delete(list, i, i+1), pair{key, value})
			}
		}
	})
}
