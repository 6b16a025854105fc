package journald

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// command prepares journalctl. It gets a process group of its own, so that a ctrl-C meant for us
// does not end it first, and is told to end when ctx is done.
func (s *Source) command(ctx context.Context) (*exec.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, s.cfg.Command[0], s.arguments()...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_URLIFY=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopAfter
	return cmd, cancel
}

// start starts the process. The kernel kills it when the thread that started it ends, so that
// thread is kept until release is called.
func start(cmd *exec.Cmd) (release func(), err error) {
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return runtime.UnlockOSThread, nil
}

// tailBuffer keeps the last bytes written to it.
type tailBuffer struct{ b []byte }

// Write implements io.Writer.
func (t *tailBuffer) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-keepErrors):]...)
	t.b = t.b[max(0, len(t.b)-keepErrors):]
	return len(p), nil
}

// err returns what was written last as an error, nil when that is nothing.
func (t *tailBuffer) err() error {
	text := bytes.TrimSpace(t.b)
	if len(text) == 0 {
		return nil
	}
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return fmt.Errorf("%q", text) // quoted: it is not our text
}
