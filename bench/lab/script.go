package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"gabion/bench/lab/service"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// sshScripts are user names: one guesses a password, one guesses users.
func sshScripts() [][]string {
	return [][]string{
		{"root"},
		{"admin", "oracle", "postgres", "test", "ubuntu", "git", "www", "ftp", "guest", "pi", "deploy", "jenkins"},
	}
}

// webScripts are paths: missing pages, files that should not be there, ways out of the root.
func webScripts() [][]string {
	return [][]string{
		numbered("/missing-%d.php", 40),
		append([]string{"/.env", "/.git/config", "/.aws/credentials", "/backup.sql", "/id_rsa", "/phpinfo.php"}, numbered("/.env.%d", 30)...),
		append([]string{"/../../etc/passwd", "/..%2f..%2fetc/shadow", "/static/../../../etc/hosts"}, numbered("/../../../../srv/%d", 30)...),
	}
}

func numbered(format string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i+1)
	}
	return out
}

// trySSH guesses one password over a connection of its own.
func trySSH(ctx context.Context, d *net.Dialer, server, user string) error {
	c, err := dial(ctx, d, server)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "SSH-2.0-lab\r\n%s hunter2\r\n", user); err != nil {
		return err
	}
	in := bufio.NewReader(io.LimitReader(c, maxAnswer))
	for _, want := range []string{service.Banner, service.Denied} {
		got, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(got) != want {
			return fmt.Errorf("the ssh server said %q, not %q", got, want)
		}
	}
	return nil
}

// tryWeb sends one request over a connection of its own, the path as it is.
func tryWeb(ctx context.Context, d *net.Dialer, server, path string) error {
	c, err := dial(ctx, d, server)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = fetch(c, path)
	return err
}

// fetch requests a path and returns the whole answer.
func fetch(c net.Conn, path string) (string, error) {
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0\r\nConnection: close\r\n\r\n", path)
	if err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(c, maxAnswer))
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 ") {
		return "", errors.New("the web server sent no answer")
	}
	return string(answer), nil
}

// dial connects; the connection ends with ctx's deadline.
func dial(ctx context.Context, d *net.Dialer, server string) (net.Conn, error) {
	c, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	if at, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(at) // a fresh connection takes it
	}
	return c, nil
}
