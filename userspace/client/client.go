package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrNotRunning says that nothing answers at the daemon's address.
var ErrNotRunning = errors.New("the daemon is not running")

// MaxAnswer bounds the bytes of one answer that a client reads.
const MaxAnswer = 256 << 20

// compressAbove is the size of a request body from which it is sent compressed.
const compressAbove = 5 << 10

// Options says where the daemon is. Address is the path of a Unix socket or an http(s) URL.
type Options struct {
	Address   string
	Key       string
	UserAgent string
	Timeout   time.Duration // of one request; 0 means 30 s
	// Transport carries the requests in place of a connection to Address, when it is not nil.
	Transport http.RoundTripper
}

// Client calls one daemon. It is safe for concurrent use.
type Client struct {
	address string
	base    string
	key     string
	agent   string
	http    *http.Client
}

// Error is an answer other than success.
type Error struct {
	Status  int
	Message string
}

// Error returns the server's message, or the status when there is none.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("the daemon answered %d %s", e.Status, http.StatusText(e.Status))
	}
	return e.Message
}

// New returns a client; it does not connect yet.
func New(o Options) (*Client, error) {
	c := &Client{address: o.Address, key: o.Key, agent: o.UserAgent}
	transport := &http.Transport{MaxIdleConns: 4, IdleConnTimeout: time.Minute}
	switch {
	case strings.HasPrefix(o.Address, "http://"), strings.HasPrefix(o.Address, "https://"):
		if _, err := url.Parse(o.Address); err != nil {
			return nil, fmt.Errorf("parse address: %w", err)
		}
		c.base = strings.TrimSuffix(o.Address, "/")
	case strings.HasPrefix(o.Address, "/"), strings.HasPrefix(o.Address, "."):
		c.base = "http://unix"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", o.Address)
		}
	default:
		return nil, fmt.Errorf("address %q is neither the path of a socket (/run/gabion/gabion.sock) nor a URL (http://127.0.0.1:8480)", o.Address)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	c.http = &http.Client{Transport: transport, Timeout: o.Timeout}
	if o.Transport != nil {
		c.http.Transport = o.Transport
	}
	return c, nil
}

// Address returns what the client was told to connect to.
func (c *Client) Address() string { return c.address }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call sends one request and decodes the answer into out, unless out is nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	req, err := c.request(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	return c.do(c.http, req, out)
}

// do sends a request and decodes the answer into out, unless out is nil.
func (c *Client) do(h *http.Client, req *http.Request, out any) error {
	resp, err := h.Do(req)
	if err != nil {
		if notRunning(err) {
			return fmt.Errorf("%w at %s", ErrNotRunning, c.address)
		}
		return fmt.Errorf("call the daemon at %s: %w", c.address, err)
	}
	defer resp.Body.Close()
	return answer(resp, req, out)
}

// answer reads what the daemon answered.
func answer(resp *http.Response, req *http.Request, out any) error {
	body := io.LimitReader(resp.Body, MaxAnswer)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		var m Message
		_ = json.NewDecoder(body).Decode(&m) // an answer without a message keeps its status
		return &Error{Status: resp.StatusCode, Message: m.Message}
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("read the daemon's answer to %s %s: %w", req.Method, req.URL.Path, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, in any) (*http.Request, error) {
	var body io.Reader
	compressed := false
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		if compressed = len(data) > compressAbove; compressed {
			data = deflate(data)
		}
		body = bytes.NewReader(data)
	}
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	req.Header.Set("X-Api-Key", c.key)
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if compressed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	return req, nil
}

// notRunning tells a missing or dead listener from other failures.
func notRunning(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

func deflate(data []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(data) // a bytes.Buffer does not fail
	_ = w.Close()
	return buf.Bytes()
}
