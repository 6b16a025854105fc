package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// importTimeout bounds the import of a list, which may be some hundred megabytes of text.
const importTimeout = 10 * time.Minute

// List is an imported list and what is enforced of it.
type List struct {
	Name        string    `json:"name"`
	Class       int       `json:"class"` // in the kernel
	Mode        string    `json:"mode"`  // drop, shadow or off
	Origin      string    `json:"origin"`
	Entries     int       `json:"entries"`
	Enforced    int       `json:"enforced"`
	NotEnforced int       `json:"not_enforced"`                // for want of room
	Protected   int       `json:"protected"`                   // left out, for they must not be banned
	Because     string    `json:"protected_because,omitempty"` // why, of the first of them
	Hits        uint64    `json:"hits"`                        // packets, as of the last comparison with the kernel
	ImportedAt  time.Time `json:"imported_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	Ended       bool      `json:"ended"` // it is over, or could not be read, and waits for its next import
}

// ListMode is the body of a change of mode.
type ListMode struct {
	Mode string `json:"mode"`
}

// ListImport says how a list is imported.
type ListImport struct {
	Duration string // until it ends
	Mode     string // empty: drop for a new list, else as it is
	File     string // where the text comes from; begins the lines of errors
}

func listPath(name string) string { return "/v1/gabion/lists/" + url.PathEscape(name) }

// Lists returns the imported lists.
func (c *Client) Lists(ctx context.Context) ([]List, error) {
	var out []List
	err := c.call(ctx, http.MethodGet, "/v1/gabion/lists", nil, nil, &out)
	return out, err
}

// ImportList sends the text of a list, which replaces the one of that name.
func (c *Client) ImportList(ctx context.Context, name string, o ListImport, text io.Reader) (*List, error) {
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	req, err := c.request(ctx, http.MethodPut, listPath(name), url.Values{"duration": {o.Duration}, "mode": {o.Mode}, "file": {o.File}}, nil)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(text)
	req.Header.Set("Content-Type", "text/plain")
	patient := *c.http
	patient.Timeout = 0 // the context has it
	var out List
	if err := c.do(&patient, req, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// RemoveList takes a list out of force and forgets it.
func (c *Client) RemoveList(ctx context.Context, name string) (int, error) {
	return c.remove(ctx, listPath(name), nil)
}

// SetListMode changes what is done with the sources on a list.
func (c *Client) SetListMode(ctx context.Context, name, mode string) error {
	return c.call(ctx, http.MethodPut, listPath(name)+"/mode", nil, ListMode{Mode: mode}, nil)
}
