// Command gotest runs `go test` and says at the end, for all packages together, what passed, what
// failed and what was skipped, with the reason. Its arguments are those of go test.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"gabion/tools/gotest/tally"
)

func main() {
	passed, err := run(os.Stdout, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

func run(w io.Writer, args []string) (passed bool, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	t := tally.New(w)
	readErr := t.Read(out)
	err = cmd.Wait()
	t.Print("this machine")
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, readErr
	}
	return readErr == nil && t.Failed() == 0, errors.Join(readErr, err)
}
