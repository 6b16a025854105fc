// Package api serves the Local API: alerts and decisions in the shapes of CrowdSec's, and gabion's
// own routes below /v1/gabion/.
//
// It declares the few methods that it needs of the daemon (Backend); answers to reads come from
// memory or from the record, and a POST is answered only when the record holds it.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits of one request.
const (
	// MaxBody bounds the bytes of a request body after decompression.
	MaxBody = 50 << 20

	maxHeader     = 64 << 10
	headerTimeout = 10 * time.Second
	readTimeout   = time.Minute
	writeTimeout  = 2 * time.Minute
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 5 * time.Second
)

// Config is what a Server is made of.
type Config struct {
	Backend Backend
	Metrics prometheus.Gatherer
	Key     string // clients send it as X-Api-Key
	Now     func() time.Time
	Log     *slog.Logger
}

// Server answers the Local API.
type Server struct {
	backend Backend
	metrics prometheus.Gatherer
	key     []byte // SHA-256 of the key
	now     func() time.Time
	log     *slog.Logger

	importing sync.Mutex // held while a list comes in
}

// New returns a server. An empty key is refused: it would open the API to everyone.
func New(c Config) (*Server, error) {
	if c.Key == "" {
		return nil, errors.New("start the Local API: its key is empty")
	}
	return &Server{backend: c.Backend, metrics: c.Metrics, key: digest(c.Key), now: c.Now, log: c.Log}, nil
}

// Serve answers requests on l until ctx is done, then lets those under way finish for a few seconds.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { drained <- runDrain(srv) })
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve the Local API on %s: %w", l.Addr(), err)
	}
	return <-drained
}

// runDrain ends a server: it owns nothing and returns when all requests are answered or their time
// is up.
func runDrain(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("finish requests: %w", err), srv.Close())
	}
	return nil
}
