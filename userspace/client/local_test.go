package client

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestRequestsAreAnsweredByAHandlerOfTheProcess(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/gabion/why/{ip}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"ip":"`+r.PathValue("ip")+`","verdict":"`+r.Header.Get("X-Api-Key")+`"}`)
	})
	mux.HandleFunc("PUT /v1/gabion/lists/{name}", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"message":"`+string(text)+`"}`)
	})
	c, err := New(Options{Address: "http://gabion", Key: "key", Transport: Local(mux)})
	if err != nil {
		t.Fatal(err)
	}
	why, err := c.Why(t.Context(), netip.MustParseAddr("192.0.2.1"))
	if err != nil || why.IP != "192.0.2.1" || why.Verdict != "key" {
		t.Errorf("why = %+v, %v", why, err)
	}
	_, err = c.ImportList(t.Context(), "bad", ListImport{Duration: "1h"}, strings.NewReader("the text"))
	var answer *Error
	if !errors.As(err, &answer) || answer.Status != http.StatusBadRequest || answer.Message != "the text" {
		t.Errorf("import = %v", err)
	}
}
