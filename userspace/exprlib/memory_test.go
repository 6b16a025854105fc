package exprlib

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestAStashDoesNotKeepTheBlocksOfTheLog(t *testing.T) {
	const entries, block = 1000, 64 << 10
	lib := New(Deps{})
	stash, err := lib.Stash(StashConfig{Name: "s", Size: entries, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	target := map[string]any{}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range entries {
		line := fmt.Sprintf("k%05d=v", i) + strings.Repeat(" ", block)
		stash.Set(line[:6], line[7:8])
		stash.Set(line[:6], line[7:9]) // again
		if _, err := storePairs(parseKV)(line[:8], target, "kv"); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 1<<20 {
		t.Errorf("%d bytes are in use for %d short entries", got, entries)
	}
	runtime.KeepAlive(stash)
	runtime.KeepAlive(target)
}
