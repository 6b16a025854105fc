package api

import (
	"fmt"
	"net/http"

	"gabion/userspace/client"
)

// getMetrics answers with the same numbers as Prometheus reads; of a summary or a histogram, its
// sum and its count.
func (s *Server) getMetrics(w http.ResponseWriter, _ *http.Request) error {
	families, err := s.metrics.Gather()
	if len(families) == 0 && err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	out := []client.Metric{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			add := func(suffix string, v float64) {
				out = append(out, client.Metric{Name: f.GetName() + suffix, Help: f.GetHelp(), Labels: labels, Value: v})
			}
			switch {
			case m.Counter != nil:
				add("", m.Counter.GetValue())
			case m.Gauge != nil:
				add("", m.Gauge.GetValue())
			case m.Untyped != nil:
				add("", m.Untyped.GetValue())
			case m.Summary != nil:
				add("_sum", m.Summary.GetSampleSum())
				add("_count", float64(m.Summary.GetSampleCount()))
			case m.Histogram != nil:
				add("_sum", m.Histogram.GetSampleSum())
				add("_count", float64(m.Histogram.GetSampleCount()))
			}
		}
	}
	return respond(w, http.StatusOK, out)
}
