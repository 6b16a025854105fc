package api

import (
	"compress/gzip"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"gabion/userspace/client"
)

// fault is an error of the caller, with the status that tells him.
type fault struct {
	status int
	msg    string
}

func (f *fault) Error() string { return f.msg }

func faultf(status int, format string, args ...any) error {
	return &fault{status, fmt.Sprintf(format, args...)}
}

// Conflictf is the error of a Backend for what a client may not do, although it is well-formed: the
// client is told, and nothing is wrong with the daemon.
func Conflictf(format string, args ...any) error {
	return faultf(http.StatusConflict, format, args...)
}

func message(text string) client.Message { return client.Message{Message: text} }

// respond writes v as JSON. A write that fails means that the client has gone.
func respond(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data)
	return nil
}

// authorized lets requests with the right key through. Prometheus sends keys as bearer tokens.
func (s *Server) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-Api-Key")
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && key == "" {
			key = token
		}
		// Digests have one length, so the comparison tells nothing about the key's.
		if subtle.ConstantTimeCompare(digest(key), s.key) != 1 {
			_ = respond(w, http.StatusForbidden, message("access forbidden"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func digest(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// readJSON decodes the first JSON value of a request body, gzip or plain, of at most MaxBody bytes.
// Unknown fields are ignored, as clients of other versions send them.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body := io.Reader(http.MaxBytesReader(w, r.Body, MaxBody))
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		zr, err := gzip.NewReader(body)
		if err != nil {
			return faultf(http.StatusBadRequest, "read gzip body: %v", err)
		}
		body = zr
	}
	limited := &io.LimitedReader{R: body, N: MaxBody + 1}
	err := json.NewDecoder(limited).Decode(v)
	var tooLarge *http.MaxBytesError
	switch {
	case limited.N <= 0, errors.As(err, &tooLarge):
		return faultf(http.StatusBadRequest, "http: request body too large")
	case errors.Is(err, io.EOF):
		return faultf(http.StatusBadRequest, "the request body is empty")
	case err != nil:
		return faultf(http.StatusBadRequest, "read request body: %v", err)
	}
	return nil
}
