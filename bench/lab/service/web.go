package service

import (
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// pages are the paths that exist.
var pages = map[string]string{
	"/":          "<h1>The lab's shop</h1>",
	"/products":  "<h1>Products</h1>",
	"/product/1": "<h1>A basket of stones</h1>",
	"/product/2": "<h1>A bigger basket</h1>",
	"/about":     "<h1>About</h1>",
}

// Pages returns paths that the web server answers with 200.
func Pages() []string { return slices.Sorted(maps.Keys(pages)) }

// Web is the web server.
type Web struct {
	http *http.Server
	log  *Log
	done []chan struct{}
}

// ServeWeb serves on the listeners until Close.
func ServeWeb(l *Log, listeners ...net.Listener) *Web {
	w := &Web{log: l}
	w.http = &http.Server{
		Handler:     w,
		ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		// What a banned peer leaves half-done is no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	w.http.SetKeepAlivesEnabled(false)
	for _, ln := range listeners {
		done := make(chan struct{})
		w.done = append(w.done, done)
		go w.runServe(ln, done)
	}
	return w
}

// runServe owns one listener; it returns when Close closes the server.
func (w *Web) runServe(ln net.Listener, done chan<- struct{}) {
	defer close(done)
	_ = w.http.Serve(ln) // always ends with ErrServerClosed
}

// ServeHTTP answers with a page or 404 and logs the request as it was sent.
func (w *Web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, pages[r.URL.Path]
	if body == "" {
		status, body = http.StatusNotFound, "<h1>Not found</h1>"
	}
	rw.Header().Set("Content-Type", "text/html")
	rw.WriteHeader(status)
	n, _ := rw.Write([]byte(body)) // a peer that is gone is logged like any other
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return
	}
	from := peer.Addr().Unmap()
	err = w.log.append(from, status >= 400, func(at time.Time) string {
		return fmt.Sprintf(`%s - - [%s] "%s %s %s" %d %d "-" "%s"`, from, at.Format("02/Jan/2006:15:04:05 -0700"),
			escape(r.Method), escape(r.RequestURI), r.Proto, status, n, escape(r.UserAgent()))
	})
	if err != nil {
		panic(http.ErrAbortHandler) // without its log line the lab has nothing to measure: the client sees it
	}
}

// Close ends all connections and waits for the accept loops.
func (w *Web) Close() error {
	err := w.http.Close()
	for _, done := range w.done {
		<-done
	}
	return err
}
