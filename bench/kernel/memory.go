package kernel

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// kernelMemory returns the bytes that the kernel holds in unreclaimable slab, vmalloc and per-CPU
// memory: where maps, tries, hash tables and sets of every kind live. Page cache and programs are
// not in it.
func kernelMemory() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read kernel memory: %w", err)
	}
	defer f.Close()
	var sum int64
	found := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		switch name {
		case "SUnreclaim", "VmallocUsed", "Percpu":
			var kib int64
			if _, err := fmt.Sscanf(strings.TrimSpace(value), "%d kB", &kib); err != nil {
				return 0, fmt.Errorf("read kernel memory: %q: %w", lines.Text(), err)
			}
			sum += kib << 10
			found++
		}
	}
	if found != 3 {
		return 0, fmt.Errorf("read kernel memory: /proc/meminfo has %d of the three lines SUnreclaim, VmallocUsed and Percpu", found)
	}
	return sum, nil
}

// settledMemory waits until what was released has been given back, which takes a large trie some
// seconds, but no longer than that: on a machine that does other work the number never stands still.
func (b *bench) settledMemory(ctx context.Context) (int64, error) {
	const (
		pause = 100 * time.Millisecond
		tries = 100
		still = 1 << 20 // bytes
		quiet = 4       // pauses in a row
	)
	last, err := kernelMemory()
	calm := 0
	for i := 0; err == nil && i < tries && calm < quiet; i++ {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(pause):
		}
		var now int64
		now, err = kernelMemory()
		if calm++; now-last > still || last-now > still {
			calm = 0
		}
		last = now
	}
	if calm < quiet {
		b.note(restlessMemory)
	}
	return last, err
}

// awaitRelease waits, some seconds at most, until the kernel holds no more than limit: a map that is
// closed is taken apart later, and its entries are given back later still.
func (b *bench) awaitRelease(ctx context.Context, limit int64) error {
	const (
		pause = 100 * time.Millisecond
		tries = 150
	)
	for range tries {
		now, err := kernelMemory()
		if err != nil || now <= limit {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	b.note(restlessMemory)
	return nil
}

const restlessMemory = "load: kernel memory does not stand still, other work on this machine takes and releases some: do not trust bytes"
