package program

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/headwayhq/headway/pkg/buildinfo"
)

// NewRegistry returns a registry with the metrics of the Go runtime, of the process and of the build.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := buildinfo.Read()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "headway_build_info", Help: "Always 1. The labels are version, commit and Go version of the program.",
		ConstLabels: prometheus.Labels{"version": build.Version, "commit": build.Commit, "goversion": build.Go},
	})
	info.Set(1)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return r
}

// Metrics serves a registry in the Prometheus format, or in OpenMetrics to whoever accepts it.
func Metrics(r prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// opsWrite bounds the time for writing the answer to a probe.
const opsWrite = 10 * time.Second

// Ops serves /livez, /readyz and /metrics. More paths may be added to the returned mux.
func Ops(metrics prometheus.Gatherer, ready func(context.Context) error) *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(pattern string, h http.Handler) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(opsWrite)) // not every writer supports it
			w.Header().Set("Cache-Control", "no-store")
			h.ServeHTTP(w, r)
		})
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
	handle("GET /livez", ok)
	handle("GET /readyz", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			Unready(w, err)
			return
		}
		ok.ServeHTTP(w, r)
	}))
	handle("GET /metrics", Metrics(metrics))
	return mux
}

// Unready answers 503 with the reason, as a problem document (RFC 9457) in the same envelope as the API's errors.
func Unready(w http.ResponseWriter, reason error) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", "2")
	w.WriteHeader(http.StatusServiceUnavailable)
	p := problem{Type: "urn:headway:problem:not_ready", Title: http.StatusText(http.StatusServiceUnavailable),
		Status: http.StatusServiceUnavailable, Detail: reason.Error()}
	p.Error.Message, p.Error.Type = reason.Error(), "not_ready"
	if err := json.NewEncoder(w).Encode(p); err != nil {
		return // the client has disconnected
	}
}

type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Success bool   `json:"success"`
	Error   struct {
		Message string   `json:"message"`
		Type    string   `json:"type"`
		Details struct{} `json:"details"`
	} `json:"error"`
}
