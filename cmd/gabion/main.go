// Command gabion detects attacks in logs and kernel events and drops their sources in the network
// driver. `gabion run` is the daemon, every other verb talks to it or to the pinned kernel maps.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"gabion/bench/lab"
)

// Exit codes. A script tells "it says no" from "it could not ask".
const (
	exitOK    = 0
	exitFail  = 1 // the command failed, or what it checked does not hold
	exitUsage = 2 // wrong flags or arguments
)

// env is the outside world of a command: tests give it another one.
type env struct {
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
	getenv   func(string) string
	now      func() time.Time
	terminal bool // stdout is one
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], env{
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		getenv:   os.Getenv,
		now:      time.Now,
		terminal: term.IsTerminal(int(os.Stdout.Fd())),
	}))
}

// errReported ends a command with exitFail when all there is to say has been printed.
var errReported = errors.New("reported")

// usageError is a mistake in flags or arguments.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, e env) int {
	root := newRoot(e)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	err = advise(err)
	var usage usageError
	var inLab *lab.ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFail
	case errors.As(err, &usage):
		fmt.Fprintf(e.stderr, "gabion: %s\nSee '%s --help'.\n", printable(err.Error(), keepLines), cmd.CommandPath())
		return exitUsage
	case errors.As(err, &inLab): // the command has said itself what is wrong
		return inLab.Code
	}
	fmt.Fprintf(e.stderr, "gabion: %s\n", printable(err.Error(), keepLines))
	return exitFail
}
