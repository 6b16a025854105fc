package client

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
)

// Health returns nil when the daemon answers.
func (c *Client) Health(ctx context.Context) error {
	var h Health
	if err := c.call(ctx, http.MethodGet, "/health", nil, nil, &h); err != nil {
		return err
	}
	if h.Status != "up" {
		return fmt.Errorf("the daemon says it is %q", h.Status)
	}
	return nil
}

// PushAlerts stores alerts and enforces their decisions. The ids it returns are those of the
// alerts that were kept.
func (c *Client) PushAlerts(ctx context.Context, alerts []Alert) ([]string, error) {
	var ids []string
	err := c.call(ctx, http.MethodPost, "/v1/alerts", nil, alerts, &ids)
	return ids, err
}

// Alerts returns alerts, latest first. Keys of the query are the parameters of GET /v1/alerts.
func (c *Client) Alerts(ctx context.Context, query url.Values) ([]Alert, error) {
	var out []Alert
	err := c.call(ctx, http.MethodGet, "/v1/alerts", query, nil, &out)
	return out, err
}

// Alert returns one alert with its events.
func (c *Client) Alert(ctx context.Context, id int64) (*Alert, error) {
	var out Alert
	if err := c.call(ctx, http.MethodGet, "/v1/alerts/"+strconv.FormatInt(id, 10), nil, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Decisions returns the active decisions. Keys of the query are the parameters of GET /v1/decisions.
func (c *Client) Decisions(ctx context.Context, query url.Values) ([]Decision, error) {
	q := url.Values{"details": {"true"}}
	for k, v := range query {
		q[k] = v
	}
	var out []Decision
	err := c.call(ctx, http.MethodGet, "/v1/decisions", q, nil, &out)
	return out, err
}

// DeleteDecisions ends the active decisions that match the query, all of them when it is empty.
func (c *Client) DeleteDecisions(ctx context.Context, query url.Values) (int, error) {
	return c.remove(ctx, "/v1/decisions", query)
}

// DeleteDecision ends one decision.
func (c *Client) DeleteDecision(ctx context.Context, id uint64) (int, error) {
	return c.remove(ctx, "/v1/decisions/"+strconv.FormatUint(id, 10), nil)
}

// Allows returns the allowlist: the user's entries and the guard's.
func (c *Client) Allows(ctx context.Context) ([]Allow, error) {
	var out []Allow
	err := c.call(ctx, http.MethodGet, "/v1/gabion/allow", nil, nil, &out)
	return out, err
}

// AddAllow adds an entry to the allowlist.
func (c *Client) AddAllow(ctx context.Context, req AllowRequest) (*Allow, error) {
	var out Allow
	if err := c.call(ctx, http.MethodPost, "/v1/gabion/allow", nil, req, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// RemoveAllow removes the user's entry for exactly this address or prefix.
func (c *Client) RemoveAllow(ctx context.Context, value string) (int, error) {
	return c.remove(ctx, "/v1/gabion/allow", url.Values{"value": {value}})
}

// Why returns what is known of an address.
func (c *Client) Why(ctx context.Context, addr netip.Addr) (*Why, error) {
	var out Why
	if err := c.call(ctx, http.MethodGet, "/v1/gabion/why/"+url.PathEscape(addr.String()), nil, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Status returns the daemon's state.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var out Status
	if err := c.call(ctx, http.MethodGet, "/v1/gabion/status", nil, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Metrics returns every counter and gauge of the daemon.
func (c *Client) Metrics(ctx context.Context) ([]Metric, error) {
	var out []Metric
	err := c.call(ctx, http.MethodGet, "/v1/gabion/metrics", nil, nil, &out)
	return out, err
}

func (c *Client) remove(ctx context.Context, path string, query url.Values) (int, error) {
	var d Deleted
	if err := c.call(ctx, http.MethodDelete, path, query, nil, &d); err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(d.NbDeleted)
	if err != nil {
		return 0, fmt.Errorf("read the daemon's answer: nbDeleted is %q", d.NbDeleted)
	}
	return n, nil
}
