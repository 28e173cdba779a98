package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const exportSecret = "secret-of-the-ray-tests"

// heard is what the relay said of jobs, with when it arrived.
type heard struct {
	mu    sync.Mutex
	said  map[string][]jobWord // by submission
	times []time.Duration      // from the fact to its arrival
}

type jobWord struct {
	Submission string    `json:"submission_id"`
	Status     string    `json:"status"`
	Session    string    `json:"session"`
	Waiting    *waitWord `json:"waiting_on"`
	at         time.Time
}

type waitWord struct {
	Kind       string         `json:"kind"`
	Demand     map[string]any `json:"demand"`
	Offered    map[string]any `json:"offered"`
	Infeasible *bool          `json:"infeasible"`
	Detail     string         `json:"detail"`
}

// listen reads every event of jobs from the log.
func listen(t *testing.T, natsURL string, h *heard) {
	t.Helper()
	nc, err := nats.Connect(natsURL, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.OrderedConsumer(t.Context(), "HEADWAY_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	consuming, err := c.Consume(func(m jetstream.Msg) {
		var e struct {
			Type string    `json:"type"`
			Time time.Time `json:"time"`
			Data jobWord   `json:"data"`
		}
		if json.Unmarshal(m.Data(), &e) != nil || e.Type != "dev.headway.job.v1" {
			return
		}
		e.Data.at = e.Time
		h.mu.Lock()
		defer h.mu.Unlock()
		h.said[e.Data.Submission] = append(h.said[e.Data.Submission], e.Data)
		if e.Data.Waiting == nil {
			h.times = append(h.times, time.Since(e.Time))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consuming.Stop)
}

// statuses are those that were said of a job, in the order of their first times: a source that lags tells of a start after another has
// told of the end, and that a job waits for nothing any more is said as of the look that saw it.
func (h *heard) statuses(submission string) (out []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	words := slices.Clone(h.said[submission])
	slices.SortStableFunc(words, func(a, b jobWord) int { return a.at.Compare(b.at) })
	for _, w := range words {
		if !slices.Contains(out, w.Status) {
			out = append(out, w.Status)
		}
	}
	return out
}

// waited finds a verdict that was said of a job under a status.
func (h *heard) waited(submission, status string, match func(*waitWord) bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.said[submission] {
		if w.Status == status && w.Waiting != nil && match(w.Waiting) {
			return nil
		}
	}
	b, _ := json.Marshal(h.said[submission])
	return fmt.Errorf("not said: %s", b)
}

// rayStand is a headway run that watches a real head.
type rayStand struct {
	t      *testing.T
	binary string
	data   string
	args   []string
	run    *running
	head   *rayHead
	heard  *heard
}

// newRayStand starts a head and a headway run.
func newRayStand(t *testing.T, binary string, o rayOptions) *rayStand {
	t.Helper()
	home := rayHome(t)
	s := &rayStand{t: t, binary: binary, data: t.TempDir(), heard: &heard{said: map[string][]jobWord{}}}
	listenAt, natsAt := fmt.Sprintf("127.0.0.1:%d", unusedPort(t)), fmt.Sprintf("127.0.0.1:%d", unusedPort(t))
	s.head = newRayHead(t, home, "http://"+listenAt+"/v1/ray/events/"+exportSecret, o)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("namespaces: {impatient: {timeout: 20s, timeout_most: 1s, grace: 1s}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{
		"--policy", policy, "--listen", listenAt, "--nats-listen", natsAt, "--ray", "real=" + s.head.url, "--ray-token", "real=" + rayToken,
		"--ray-events-secret", exportSecret, "--log-level", "info",
	}
	s.start()
	listen(t, s.run.nats, s.heard)
	return s
}

func (s *rayStand) start() { s.run = runHeadway(s.t, s.binary, s.data, s.args...) }

// job is a job as the snapshot of its batch, which has its name, shows it.
func (s *rayStand) job(id string) (map[string]any, error) {
	snapshot, code := s.run.snapshot(id)
	tiers, _ := snapshot["tiers"].([]any)
	for _, tier := range tiers {
		jobs, _ := tier.(map[string]any)["jobs"].([]any)
		for _, j := range jobs {
			if job, ok := j.(map[string]any); ok && job["ray_job_id"] == id {
				return job, nil
			}
		}
	}
	return nil, fmt.Errorf("%d: %s isn't there", code, id)
}

// shows waits until the snapshot shows a job so.
func (s *rayStand) shows(id string, want map[string]any) map[string]any {
	s.t.Helper()
	var job map[string]any
	eventually(s.t, 90*time.Second, id+" shows", func() (err error) {
		if job, err = s.job(id); err != nil {
			return err
		}
		for k, v := range want {
			if fmt.Sprint(job[k]) != fmt.Sprint(v) {
				return fmt.Errorf("%s is %v, want %v; status %v, waiting on %v", k, job[k], v, job["status"], job["waiting_on"])
			}
		}
		return nil
	})
	return job
}

// explanation is the text of a batch's explanation.
func (s *rayStand) explanation(batch, namespace string) (string, error) {
	res, err := http.Get(s.run.api + "/v1/analytics/performance/batches/" + batch + "/diagnostics/explain?namespace=" + namespace)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d: %s", res.StatusCode, body)
	}
	return string(body), err
}

func (s *rayStand) stages(id string, want ...string) {
	s.t.Helper()
	eventually(s.t, 10*time.Second, id+" went through its stages", func() error {
		if got := s.heard.statuses(id); !slices.Equal(got, want) {
			return fmt.Errorf("%v, want %v", got, want)
		}
		return nil
	})
}

func (s *rayStand) waits(id, status string, match func(*waitWord) bool) {
	s.t.Helper()
	eventually(s.t, 90*time.Second, id+" waits", func() error { return s.heard.waited(id, status, match) })
}

func needs(kind, resource string, n float64) func(*waitWord) bool {
	return func(w *waitWord) bool { return w.Kind == kind && w.Demand[resource] == n && w.Offered[resource] == 0.0 }
}

func infeasible(resource string, n float64) func(*waitWord) bool {
	return func(w *waitWord) bool {
		return needs("resources", resource, n)(w) && w.Infeasible != nil && *w.Infeasible
	}
}
