package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Shell is a program that runs inside the server's namespace, with the lab's daemon in its
// environment: GABION_SOCKET, GABION_CONFIG, GABION_PIN_DIR, and the gabion program first in PATH.
type Shell struct {
	Command []string // empty: $SHELL, for a person
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
}

// ExitError says that the shell's command ended with a code other than 0.
type ExitError struct{ Code int }

// Error names the code.
func (e *ExitError) Error() string {
	return fmt.Sprintf("the command in the lab's shell ended with code %d", e.Code)
}

const shellHelp = `
This is the server's namespace. The attackers are banned, the daemon runs. Try:

  gabion decisions list
  gabion why %[1]s
  gabion verify %[1]s
  gabion kernel dump
  gabion doctor
  bpftool map dump pinned $GABION_PIN_DIR/bans4

'exit' ends the shell and removes the lab.

`

// runShell runs the command or an interactive shell. The end of ctx ends it.
func (l *lab) runShell(ctx context.Context) error {
	command := l.Shell.Command
	interactive := len(command) == 0
	if interactive {
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		command = []string{shell}
		fmt.Fprintf(l.Shell.Stderr, shellHelp, l.plan.attacker(ipv4, 0))
	}
	env := shellEnv(os.Environ(), filesIn(l.dir), l.pins, filepath.Dir(l.Binary))
	path, err := lookPath(command[0], env)
	if err != nil {
		return step("open shell", err)
	}
	cmd := exec.Command(path, command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = l.Shell.Stdin, l.Shell.Stdout, l.Shell.Stderr, env
	p, err := l.net.Server.Start(cmd)
	if err != nil {
		return step("open shell", err)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Stop(time.Second)
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	switch err := p.Wait(); {
	case interactive: // the last command of a person's shell says nothing about the lab
		return nil
	case errors.As(err, &exit):
		return &ExitError{Code: exit.ExitCode()}
	default:
		return err
	}
}

// shellEnv adds the lab's variables and puts the directory of the gabion program first in PATH.
func shellEnv(env []string, f files, pins, bin string) []string {
	path := os.Getenv("PATH")
	out := daemonEnv(env)
	return append(out, "PATH="+bin+string(filepath.ListSeparator)+path,
		"GABION_SOCKET="+f.socket, "GABION_CONFIG="+f.config, "GABION_PIN_DIR="+pins)
}

// lookPath finds a program as a shell with that environment would.
func lookPath(name string, env []string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return name, nil
	}
	var path string
	for _, v := range env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			path = p // the last one counts
		}
	}
	for _, dir := range filepath.SplitList(path) {
		at := filepath.Join(dir, name)
		if st, err := os.Stat(at); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
			return at, nil
		}
	}
	return "", fmt.Errorf("%s: no such program in PATH", name)
}
