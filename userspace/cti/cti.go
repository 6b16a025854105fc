// Package cti asks a threat intelligence service what it knows of an address.
//
// Nothing is asked unless an operator gives a key. Answers are remembered, and a service that says
// it is asked too often is left alone for a while.
package cti

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"gabion/userspace/recent"
)

const (
	timeout    = 10 * time.Second
	remembered = 1000
	keep       = 5 * time.Minute // an answer
	backOff    = 5 * time.Minute
	maxAnswer  = 1 << 20 // bytes
)

// Errors of a service that does not answer.
var (
	ErrDisabled = errors.New("cti is disabled: the service refused the key")
	ErrLimited  = errors.New("cti is asked too often: it is left alone for a while")
)

// Config says where the service is.
type Config struct {
	URL string // of the service, before /smoke/ADDRESS
	Key string
	Do  func(*http.Request) (*http.Response, error)
	Now func() time.Time
}

// Service is a threat intelligence service. It is safe for concurrent use.
type Service struct {
	config Config
	items  *recent.Cache[netip.Addr, answer]

	mu       sync.Mutex
	disabled bool
	waitTill time.Time
}

type answer struct {
	item  *Item
	until time.Time
}

// New returns a service that has not been asked yet.
func New(config Config) *Service {
	return &Service{config: config, items: recent.New[netip.Addr, answer](remembered)}
}

// Item returns what the service says of an address: an empty Item when it does not know it. The
// result is shared: it must not be changed.
func (s *Service) Item(ip string) (*Item, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, fmt.Errorf("ask cti: %.50q is no address", ip)
	}
	addr = addr.Unmap().WithZone("")
	now := s.config.Now()
	if a, ok := s.items.Get(addr); ok && now.Before(a.until) {
		return a.item, nil
	}
	if err := s.closed(now); err != nil {
		return nil, err
	}
	item, err := s.ask(addr)
	if err != nil {
		return nil, err
	}
	s.items.Put(addr, answer{item, now.Add(keep)})
	return item, nil
}

func (s *Service) closed(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.disabled:
		return ErrDisabled
	case now.Before(s.waitTill):
		return ErrLimited
	}
	return nil
}

func (s *Service) ask(addr netip.Addr) (*Item, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.config.URL, "/")+"/smoke/"+url.PathEscape(addr.String()), nil)
	if err != nil {
		return nil, fmt.Errorf("ask cti: %w", err)
	}
	req.Header.Set("X-Api-Key", s.config.Key)
	resp, err := s.config.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask cti: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return &Item{}, nil
	case http.StatusForbidden:
		s.mu.Lock()
		s.disabled = true
		s.mu.Unlock()
		return nil, ErrDisabled
	case http.StatusTooManyRequests:
		s.mu.Lock()
		s.waitTill = s.config.Now().Add(backOff)
		s.mu.Unlock()
		return nil, ErrLimited
	default:
		return nil, fmt.Errorf("ask cti: it answers %s", resp.Status)
	}
	item := &Item{}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(item); err != nil {
		return nil, fmt.Errorf("read the answer of cti: %w", err)
	}
	return item, nil
}
