package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"gabion/bench/lab/service"
	"gabion/bench/lab/topology"
	"gabion/userspace/client"
)

// patience is how long the daemon may take to be ready, on a slow and busy machine.
const patience = 30 * time.Second

// startServices starts the web server and the ssh stand-in in the server's namespace.
func (l *lab) startServices() error {
	f := filesIn(l.dir)
	webLog, err := service.OpenLog(f.webLog, l.Now, l.onLine)
	if err != nil {
		return err
	}
	l.onClose("close access log", webLog.Close)
	authLog, err := service.OpenLog(f.authLog, l.Now, l.onLine)
	if err != nil {
		return err
	}
	l.onClose("close auth log", authLog.Close)
	webSockets, err := l.listen("80")
	if err != nil {
		return err
	}
	l.web = service.ServeWeb(webLog, webSockets...)
	l.onClose("stop web server", l.web.Close)
	sshSockets, err := l.listen("22")
	if err != nil {
		return err
	}
	l.ssh = service.ServeSSH(authLog, sshSockets...)
	l.onClose("stop ssh stand-in", l.ssh.Close)
	return nil
}

// listen opens the port on the services' addresses of both families.
func (l *lab) listen(port string) ([]net.Listener, error) {
	var out []net.Listener
	err := l.net.Server.Do(func() error {
		for _, family := range []string{ipv4, ipv6} {
			ln, err := net.Listen("tcp", net.JoinHostPort(l.plan.server(family).String(), port))
			if err != nil {
				return err
			}
			out = append(out, ln)
		}
		return nil
	})
	return out, err
}

// startDaemon starts gabion in the server's namespace and waits until it protects the interfaces.
// It runs in a process group of its own: ctrl-C is for the lab, which stops it in order.
func (l *lab) startDaemon(ctx context.Context) error {
	f := filesIn(l.dir)
	if err := l.writeConfig(f); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	out, err := os.OpenFile(f.daemonLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create daemon log: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(l.Binary, "run", "-c", f.config)
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = out, out, l.dir, daemonEnv(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p, err := l.net.Server.Start(cmd)
	if err != nil {
		return err
	}
	first := l.daemon == nil
	l.daemon = &daemon{Process: p}
	if first {
		l.onClose("stop daemon", func() error { l.daemon.stop(); return nil })
	}
	d := l.daemon
	if err := l.awaitReady(ctx, d); err != nil {
		return err
	}
	l.tasks.Go(func() { l.runGuard(ctx, d) })
	return nil
}

func (l *lab) writeConfig(f files) error {
	return errors.Join(
		os.MkdirAll(f.rules, 0o700),
		os.WriteFile(f.meter, []byte(meterText()), 0o600),
		os.WriteFile(f.config, []byte(configText(f, l.pins, l.net.Interfaces)), 0o600),
	)
}

// runGuard ends the run when the daemon ends without being told to; it returns with either.
func (l *lab) runGuard(ctx context.Context, d *daemon) {
	select {
	case <-ctx.Done():
		return
	case <-d.Done():
	}
	if !d.wanted.Load() {
		l.abort(fmt.Errorf("the daemon ended by itself: %w", d.how()))
	}
}

// daemon is one process of `gabion run`.
type daemon struct {
	*topology.Process
	wanted atomic.Bool // its end is wanted
}

// stop ends it in order.
func (d *daemon) stop() {
	d.wanted.Store(true)
	d.Stop(10 * time.Second)
}

// kill ends it with SIGKILL.
func (d *daemon) kill() {
	d.wanted.Store(true)
	d.Kill()
}

// how says how it ended.
func (d *daemon) how() error {
	if err := d.Wait(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// daemonEnv leaves out what would make the daemon talk to the service manager of the lab's caller,
// or read another daemon's settings.
func daemonEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, "WATCHDOG_") ||
			strings.HasPrefix(v, "LISTEN_") || strings.HasPrefix(v, "GABION_") || strings.HasPrefix(v, "SSH_")
	})
}

// awaitReady asks for the status until every interface is protected and every source runs.
func (l *lab) awaitReady(ctx context.Context, d *daemon) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not ready after %s", patience))
	defer cancel()
	last := errors.New("no answer yet")
	for {
		select {
		case <-d.Done():
			return fmt.Errorf("it ended: %w", d.how())
		default:
		}
		status, err := l.status(ctx)
		if err == nil {
			err = ready(status)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%w: %w", err, last)
		}
	}
}

func ready(s *client.Status) error {
	if len(s.Interfaces) == 0 {
		return errors.New("it protects no interface")
	}
	for _, i := range s.Interfaces {
		if i.Mode == "" {
			return fmt.Errorf("interface %s is not protected: %s", i.Name, i.Error)
		}
	}
	for _, src := range s.Sources {
		if !src.Running {
			return fmt.Errorf("source %s does not run: %s", src.Name, src.Error)
		}
	}
	return nil
}

// api returns a client of the daemon. The key exists once the daemon has started.
func (l *lab) api() (*client.Client, error) {
	f := filesIn(l.dir)
	key, err := os.ReadFile(f.key)
	if err != nil {
		return nil, fmt.Errorf("read API key: %w", err)
	}
	return client.New(client.Options{Address: f.socket, Key: strings.TrimSpace(string(key)), UserAgent: "gabion-lab"})
}

func (l *lab) status(ctx context.Context) (*client.Status, error) {
	c, err := l.api()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Status(ctx)
}

// scenarios returns by which scenario each active decision was made.
func (l *lab) scenarios(ctx context.Context) (map[netip.Addr]client.Decision, error) {
	c, err := l.api()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	list, err := c.Decisions(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("list decisions: %w", err)
	}
	out := map[netip.Addr]client.Decision{}
	for _, d := range list {
		if addr, err := netip.ParseAddr(d.Value); err == nil {
			out[addr] = d
		}
	}
	return out, nil
}

// lastWords returns the end of the daemon's log.
func (l *lab) lastWords() string {
	data, err := os.ReadFile(filesIn(l.dir).daemonLog)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	lines = lines[max(len(lines)-15, 0):]
	return "  " + strings.Join(lines, "\n  ")
}

// keepLogs copies the logs and the configuration to the directory the user named.
func (l *lab) keepLogs() error {
	if err := os.MkdirAll(l.KeepLogs, 0o755); err != nil {
		return err
	}
	f := filesIn(l.dir)
	var errs []error
	for _, from := range []string{f.daemonLog, f.authLog, f.webLog, f.config, f.meter} {
		data, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(l.KeepLogs, filepath.Base(from)), data, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
