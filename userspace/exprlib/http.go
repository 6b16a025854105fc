package exprlib

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gabion/userspace/expr"
)

// Bounds of a request that an expression makes.
const (
	httpTimeout = 10 * time.Second
	maxHTTPBody = 10 << 20 // bytes; what comes after is cut off
)

var errNoHTTP = errors.New("rules make no HTTP requests here")

// HTTPResponse is the answer to a request that an expression made. Its fields have the names that
// rules use.
type HTTPResponse struct {
	StatusCode int
	Body       string
	Headers    http.Header
}

func (l *Lib) httpFunctions() []expr.Function {
	return []expr.Function{
		bind1("HTTPGet", func(url string) (*HTTPResponse, error) { return l.request(http.MethodGet, url, nil, "") }),
		bind1("HTTPHead", func(url string) (*HTTPResponse, error) { return l.request(http.MethodHead, url, nil, "") }),
		bind3("HTTPPost", func(url, contentType, body string) (*HTTPResponse, error) {
			return l.request(http.MethodPost, url, map[string]string{"Content-Type": contentType}, body)
		}),
		{Name: "HTTPRequest", Call: l.callHTTPRequest, Types: []any{
			new(func(string, string, map[string]any, string) *HTTPResponse), new(func(string, string, map[string]string, string) *HTTPResponse),
		}},
	}
}

func (l *Lib) callHTTPRequest(args ...any) (any, error) {
	method, err := arg[string](args, 0)
	if err != nil {
		return nil, err
	}
	url, err := arg[string](args, 1)
	if err != nil {
		return nil, err
	}
	body, err := arg[string](args, 3)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	switch given := args[2].(type) {
	case nil:
	case map[string]string:
		headers = given
	case map[string]any:
		for name, value := range given {
			text, ok := value.(string)
			if !ok {
				return nil, fmt.Errorf("header %s is %T, want text", name, value)
			}
			headers[name] = text
		}
	default:
		return nil, fmt.Errorf("argument 3 is %T, want a map of headers", given)
	}
	return result(l.request(method, url, headers, body))
}

// request makes a request and reads the answer. The event waits for it.
func (l *Lib) request(method, url string, headers map[string]string, body string) (*HTTPResponse, error) {
	if l.deps.HTTP == nil {
		return nil, errNoHTTP
	}
	ctx, cancel := context.WithTimeout(context.Background(), httpTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make HTTP request: %w", err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := l.deps.HTTP(req)
	if err != nil {
		return nil, fmt.Errorf("make HTTP request: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxHTTPBody))
	if err != nil {
		return nil, fmt.Errorf("read HTTP response: %w", err)
	}
	return &HTTPResponse{StatusCode: resp.StatusCode, Body: string(text), Headers: resp.Header}, nil
}
