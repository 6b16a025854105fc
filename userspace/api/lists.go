package api

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/lists"
	"gabion/userspace/yamlpos"
)

// maxList bounds the bytes of a list's text. Its entries are counted while it is read.
const maxList = 1 << 30

func (s *Server) getLists(w http.ResponseWriter, r *http.Request) error {
	all, err := s.backend.Lists(r.Context())
	if err != nil {
		return err
	}
	if all == nil {
		all = []client.List{}
	}
	return respond(w, http.StatusOK, all)
}

// putList reads the text as it comes, and one list at a time: the memory it takes is that of one.
func (s *Server) putList(w http.ResponseWriter, r *http.Request) error {
	name, query := r.PathValue("name"), r.URL.Query()
	if err := lists.CheckName(name); err != nil {
		return faultf(http.StatusBadRequest, "%v", err)
	}
	in := ListImport{Origin: query.Get("file")}
	if text := query.Get("mode"); text != "" {
		mode, err := decision.ParseMode(text)
		if err != nil {
			return faultf(http.StatusBadRequest, "mode: %v", err)
		}
		in.Mode = &mode
	}
	d, err := yamlpos.ParseDuration(query.Get("duration"))
	if err != nil || d <= 0 {
		return faultf(http.StatusBadRequest, "duration: %q is not a time span such as 24h or 7d", query.Get("duration"))
	}
	in.Duration = d
	s.importing.Lock()
	defer s.importing.Unlock()
	if in.Entries, err = readList(w, r, in.Origin); err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a million entries take their time
	list, err := s.backend.ImportList(r.Context(), name, in)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, list)
}

// readList reads the body to its end even when it has faults: a client that is still sending would
// not hear of them.
func readList(w http.ResponseWriter, r *http.Request, file string) (*lists.Entries, error) {
	limited := http.MaxBytesReader(w, r.Body, maxList)
	defer func() { _, _ = io.Copy(io.Discard, limited) }()
	text := io.Reader(limited)
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		zr, err := gzip.NewReader(limited)
		if err != nil {
			return nil, faultf(http.StatusBadRequest, "read gzip body: %v", err)
		}
		text = &bounded{r: zr, left: maxList}
	}
	if file == "" {
		file = "-"
	}
	entries, err := lists.Read(text, file)
	if err != nil {
		return nil, faultf(http.StatusBadRequest, "%v", err)
	}
	return entries, nil
}

// bounded fails where the limit is reached: a cut list must not be taken for a short one.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("more than %d bytes: split the list", maxList)
	}
	return n, err
}

func (s *Server) deleteList(w http.ResponseWriter, r *http.Request) error {
	removed, err := s.backend.RemoveList(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	n := "0"
	if removed {
		n = "1"
	}
	return respond(w, http.StatusOK, client.Deleted{NbDeleted: n})
}

func (s *Server) putListMode(w http.ResponseWriter, r *http.Request) error {
	var req client.ListMode
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	mode, err := decision.ParseMode(req.Mode)
	if err != nil {
		return faultf(http.StatusBadRequest, "mode: %v", err)
	}
	err = s.backend.SetListMode(r.Context(), r.PathValue("name"), mode)
	if errors.Is(err, lists.ErrUnknown) {
		return faultf(http.StatusNotFound, "there is no list %q: gabion lists shows those there are", r.PathValue("name"))
	}
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, req)
}
