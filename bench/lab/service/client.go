package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// TrySSH guesses one password over a connection of its own.
func TrySSH(ctx context.Context, d *net.Dialer, server, user string) error {
	c, err := Dial(ctx, d, server)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "SSH-2.0-lab\r\n%s hunter2\r\n", user); err != nil {
		return err
	}
	in := bufio.NewReader(io.LimitReader(c, maxAnswer))
	for _, want := range []string{Banner, Denied} {
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

// TryWeb sends one request over a connection of its own, the path as it is.
func TryWeb(ctx context.Context, d *net.Dialer, server, path string) error {
	c, err := Dial(ctx, d, server)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = Fetch(c, path)
	return err
}

// Fetch requests a path and returns the whole answer.
func Fetch(c net.Conn, path string) (string, error) {
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

// Dial connects; the connection ends with ctx's deadline.
func Dial(ctx context.Context, d *net.Dialer, server string) (net.Conn, error) {
	c, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	if at, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(at) // a fresh connection takes it
	}
	return c, nil
}
