package kernel

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// pinned is a thread that stays on one CPU and is not preempted by ordinary work. Everything that is
// timed runs there.
type pinned struct {
	work chan func()
	done chan struct{}
}

// newPinned starts the thread, in the network namespace at path or, when that is empty, in the
// caller's.
func newPinned(path string) (*pinned, error) {
	p := &pinned{work: make(chan func()), done: make(chan struct{})}
	ready := make(chan error, 1)
	go p.runThread(path, ready)
	if err := <-ready; err != nil {
		<-p.done
		return nil, fmt.Errorf("prepare measuring thread: %w", err)
	}
	return p, nil
}

// runThread owns one thread and changes its CPU, priority and namespace. It returns when work is
// closed; the thread goes back as it was, and ends when that is not possible.
func (p *pinned) runThread(path string, ready chan<- error) {
	defer close(p.done)
	runtime.LockOSThread()
	restore, err := prepareThread(path)
	if err == nil {
		ready <- nil
		for f := range p.work {
			f()
		}
	}
	if restoreErr := restore(); restoreErr == nil {
		runtime.UnlockOSThread()
	}
	if err != nil {
		ready <- err
	}
}

// do runs f on the thread.
func (p *pinned) do(f func() error) error {
	errc := make(chan error, 1)
	p.work <- func() { errc <- f() }
	return <-errc
}

func (p *pinned) close() {
	close(p.work)
	<-p.done
}

// prepareThread changes the calling thread and returns what undoes as much as was done.
func prepareThread(path string) (restore func() error, err error) {
	var undo []func() error
	restore = func() error {
		var errs []error
		for i := len(undo) - 1; i >= 0; i-- {
			errs = append(errs, undo[i]())
		}
		return errors.Join(errs...)
	}
	// The runtime signals threads to share them out, and every signal cuts a run short.
	var every, signals unix.Sigset_t
	for i := range every.Val {
		every.Val[i] = ^every.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &every, &signals); err != nil {
		return restore, fmt.Errorf("block signals: %w", err)
	}
	undo = append(undo, func() error { return unix.PthreadSigmask(unix.SIG_SETMASK, &signals, nil) })
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return restore, fmt.Errorf("read CPU affinity: %w", err)
	}
	one := lastCPU(cpus)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return restore, fmt.Errorf("stay on one CPU: %w", err)
	}
	undo = append(undo, func() error { return unix.SchedSetaffinity(0, &cpus) })
	old, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return restore, fmt.Errorf("read scheduling policy: %w", err)
	}
	fifo := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := unix.SchedSetAttr(0, &fifo, 0); err != nil {
		return restore, fmt.Errorf("take real-time priority (needs CAP_SYS_NICE): %w", err)
	}
	undo = append(undo, func() error { return unix.SchedSetAttr(0, old, 0) })
	if path == "" {
		return restore, nil
	}
	leave, err := enter(path)
	if err != nil {
		return restore, err
	}
	undo = append(undo, leave)
	return restore, nil
}

// enter moves the calling thread into a network namespace.
func enter(path string) (leave func() error, err error) {
	home, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("find own network namespace: %w", err)
	}
	there, err := netns.GetFromPath(path)
	if err == nil {
		err = netns.Set(there)
		_ = there.Close()
	}
	if err != nil {
		_ = home.Close()
		return nil, fmt.Errorf("enter network namespace %s: %w", path, err)
	}
	return func() error {
		defer home.Close()
		return netns.Set(home)
	}, nil
}

// lastCPU leaves only the last CPU: most interrupts go to the first.
func lastCPU(cpus unix.CPUSet) (one unix.CPUSet) {
	last := 0
	for cpu := range len(cpus) * 64 {
		if cpus.IsSet(cpu) {
			last = cpu
		}
	}
	one.Set(last)
	return one
}
