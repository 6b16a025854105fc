package api

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gabion/userspace/store"
)

// Handler returns all routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /health", s.open(s.health))

	mux.Handle("POST /v1/alerts", s.keyed(s.postAlerts))
	mux.Handle("GET /v1/alerts", s.keyed(s.getAlerts))
	mux.Handle("GET /v1/alerts/{id}", s.keyed(s.getAlert))
	mux.Handle("GET /v1/decisions", s.keyed(s.getDecisions))
	mux.Handle("DELETE /v1/decisions", s.keyed(s.deleteDecisions))
	mux.Handle("DELETE /v1/decisions/{id}", s.keyed(s.deleteDecision))

	mux.Handle("GET /v1/gabion/allow", s.keyed(s.getAllow))
	mux.Handle("POST /v1/gabion/allow", s.keyed(s.postAllow))
	mux.Handle("DELETE /v1/gabion/allow", s.keyed(s.deleteAllow))
	mux.Handle("GET /v1/gabion/lists", s.keyed(s.getLists))
	mux.Handle("PUT /v1/gabion/lists/{name}", s.keyed(s.putList))
	mux.Handle("DELETE /v1/gabion/lists/{name}", s.keyed(s.deleteList))
	mux.Handle("PUT /v1/gabion/lists/{name}/mode", s.keyed(s.putListMode))
	mux.Handle("GET /v1/gabion/why/{ip}", s.keyed(s.getWhy))
	mux.Handle("GET /v1/gabion/status", s.keyed(s.getStatus))
	mux.Handle("GET /v1/gabion/metrics", s.keyed(s.getMetrics))

	mux.Handle("GET /metrics", s.authorized(promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
	})))
	return mux
}

// handler answers a request or returns why it cannot.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) keyed(h handler) http.Handler { return s.authorized(s.open(h)) }

// open turns errors into answers.
func (s *Server) open(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		var fault *fault
		switch {
		case err == nil:
		case errors.As(err, &fault):
			respond(w, fault.status, message(fault.msg))
		case errors.Is(err, store.ErrNotFound):
			respond(w, http.StatusNotFound, message("object not found"))
		case r.Context().Err() != nil: // the client went away: nobody reads an answer
		default:
			s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
			respond(w, http.StatusInternalServerError, message(err.Error()))
		}
	})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-cache, no-store")
	return respond(w, http.StatusOK, map[string]string{"status": "up"})
}
