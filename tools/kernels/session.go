package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"gabion/tools/gotest/tally"
	"gabion/tools/kernels/plan"
)

// session is what one guest says on its serial line, and what that means.
type session struct {
	nonce   string
	tally   *tally.Tally
	release string            // of the kernel, as it says itself; "" before it is up
	files   map[string][]byte // by package/name
	partial bool              // a package may have no test to run
	echo    io.Writer         // of all that tests say; may be nil

	current *reader // of the test that runs
	done    bool
}

// reader makes events of what a test binary says, while it says it: the times are those of the host.
type reader struct {
	pkg    string
	cmd    *exec.Cmd
	in     io.WriteCloser
	events bytes.Buffer
}

func newSession(nonce string, t *tally.Tally) *session {
	return &session{nonce: nonce, tally: t, files: map[string][]byte{}}
}

// read takes in the line until r ends, which is when the machine is off.
func (s *session) read(ctx context.Context, r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err := s.take(ctx, line); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the serial line: %w", err)
		}
	}
}

func (s *session) take(ctx context.Context, line string) error {
	verb, rest, ok := plan.ParseMark(line, s.nonce)
	if !ok {
		if s.current == nil {
			return nil
		}
		if s.echo != nil {
			fmt.Fprintf(s.echo, "%s %s", time.Now().Format(time.TimeOnly), strings.TrimPrefix(line, "\x16"))
		}
		_, err := io.WriteString(s.current.in, line)
		return err
	}
	switch verb {
	case plan.Booted:
		s.release = rest
	case plan.Trouble:
		s.tally.Fail("in the guest: " + rest)
	case plan.Begin:
		return s.begin(ctx, rest)
	case plan.End:
		return s.end(rest)
	case plan.File:
		return s.file(rest)
	case plan.Done:
		s.done = true
	default:
		return fmt.Errorf("the guest says %q: unknown", line)
	}
	return nil
}

func (s *session) begin(ctx context.Context, name string) error {
	if s.current != nil {
		return fmt.Errorf("the guest begins with %s before %s has ended", name, s.current.pkg)
	}
	r := &reader{pkg: name, cmd: exec.CommandContext(ctx, "go", "tool", "test2json", "-t", "-p", name)}
	r.cmd.Stdout = &r.events
	in, err := r.cmd.StdinPipe()
	if err != nil {
		return err
	}
	r.in = in
	s.current = r
	return r.cmd.Start()
}

// end counts what a test binary said.
func (s *session) end(rest string) error {
	name, how, _ := strings.Cut(rest, " ")
	if s.current == nil || s.current.pkg != name {
		return fmt.Errorf("the guest ends %s, which has not begun", name)
	}
	ran, failed := s.tally.Ran(), s.tally.Failed()
	if err := s.count(); err != nil {
		return err
	}
	switch {
	case how != plan.Succeeded && s.tally.Failed() == failed:
		s.tally.Fail(fmt.Sprintf("%s: %s, without a test that failed", name, how))
	case how == plan.Succeeded && s.tally.Ran() == ran && !s.partial:
		s.tally.Fail(name + ": ran no test")
	}
	return nil
}

// count hands what the current test said to the tally.
func (s *session) count() error {
	r := s.current
	s.current = nil
	if err := errors.Join(r.in.Close(), r.cmd.Wait()); err != nil {
		return fmt.Errorf("run test2json: %w", err)
	}
	return s.tally.Read(&r.events)
}

func (s *session) file(rest string) error {
	fields := strings.Fields(rest)
	if len(fields) != 3 {
		return fmt.Errorf("the guest sends a file as %d words, want 3", len(fields))
	}
	content, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return fmt.Errorf("decode %s from the guest: %w", fields[1], err)
	}
	s.files[fields[0]+"/"+fields[1]] = content
	return nil
}

// finish judges a session whose machine is off, for the reason why if that is not the guest's own.
// Unless the guest said that it is done, that is a failure, whatever passed before.
func (s *session) finish(why error) error {
	if s.current != nil {
		name := s.current.pkg
		if err := s.count(); err != nil {
			return err
		}
		s.tally.Fail(name + ": did not end")
	}
	switch {
	case why != nil:
		s.tally.Fail(why.Error())
	case s.done:
	case s.release == "":
		s.tally.Fail("the kernel did not come up")
	default:
		s.tally.Fail("the guest ended without saying that it was done")
	}
	return nil
}
