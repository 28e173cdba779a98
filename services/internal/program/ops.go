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

// OpsFlags are the flags of the programs that serve the API.
type OpsFlags struct {
	OpsListen string `help:"Address at which /metrics, /livez and /readyz are served by themselves; then --listen serves no /metrics." placeholder:"HOST:PORT" env:"HEADWAY_OPS_LISTEN"`
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
			Unready(w, r, err)
			return
		}
		ok.ServeHTTP(w, r)
	}))
	handle("GET /metrics", Metrics(metrics))
	return mux
}

// Unready answers 503 with the reason.
func Unready(w http.ResponseWriter, r *http.Request, reason error) {
	w.Header().Set("Retry-After", "2")
	Refuse(w, r, http.StatusServiceUnavailable, "not_ready", reason.Error())
}

// Refuse answers with a problem document (RFC 9457) in the same envelope as the API's errors.
func Refuse(w http.ResponseWriter, r *http.Request, status int, kind, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	p := problem{Type: "urn:headway:problem:" + kind, Title: http.StatusText(status), Status: status, Detail: detail}
	p.Error.Message, p.Error.Type = detail, kind
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
