package api

import (
	"net/http"
	"net/netip"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/yamlpos"
)

func (s *Server) getAllow(w http.ResponseWriter, r *http.Request) error {
	list, err := s.backend.Allows(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []client.Allow{}
	}
	return respond(w, http.StatusOK, list)
}

func (s *Server) postAllow(w http.ResponseWriter, r *http.Request) error {
	var req client.AllowRequest
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	p, err := decision.ParsePrefix(req.Value)
	if err != nil {
		return faultf(http.StatusBadRequest, "value: %v", err)
	}
	if p.Bits() == 0 {
		return faultf(http.StatusBadRequest, "value: %s covers every address: nothing could be banned", p)
	}
	if req.Duration != "" {
		if d, err := yamlpos.ParseDuration(req.Duration); err != nil || d <= 0 {
			return faultf(http.StatusBadRequest, "duration: %q is not a time span such as 4h or 7d", req.Duration)
		}
	}
	entry, err := s.backend.Allow(r.Context(), p, req)
	if err != nil {
		return err
	}
	return respond(w, http.StatusCreated, entry)
}

func (s *Server) deleteAllow(w http.ResponseWriter, r *http.Request) error {
	p, err := decision.ParsePrefix(r.URL.Query().Get("value"))
	if err != nil {
		return faultf(http.StatusBadRequest, "value: %v", err)
	}
	removed, err := s.backend.Disallow(r.Context(), p)
	if err != nil {
		return err
	}
	n := "0"
	if removed {
		n = "1"
	}
	return respond(w, http.StatusOK, client.Deleted{NbDeleted: n})
}

func (s *Server) getWhy(w http.ResponseWriter, r *http.Request) error {
	addr, err := netip.ParseAddr(r.PathValue("ip"))
	if err != nil || addr.Zone() != "" {
		return faultf(http.StatusBadRequest, "%q is not an address", r.PathValue("ip"))
	}
	why, err := s.backend.Why(r.Context(), addr.Unmap())
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, why)
}

func (s *Server) getStatus(w http.ResponseWriter, _ *http.Request) error {
	return respond(w, http.StatusOK, s.backend.Status())
}
