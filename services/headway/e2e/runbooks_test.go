package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// hurry is by how much the times in the alerts are shortened. One of their minutes takes two seconds.
const hurry = 30

// hastened are the alerts with shorter times. Views are as old as a heartbeat even when all is well, so limits shrink less.
func hastened(t *testing.T) string {
	t.Helper()
	rules, err := os.ReadFile(filepath.Join("..", "..", "..", "deployments", "prometheus", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(for: |\[|:)(\d+[smh])\b`).ReplaceAllStringFunc(string(rules), func(m string) string {
		at := strings.IndexAny(m, "0123456789")
		d, err := time.ParseDuration(m[at:])
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s%ds", m[:at], max(1, int(d.Seconds())/hurry))
	})
	text = strings.NewReplacer("> 60", "> 6", "> 30", "> 3").Replace(text)
	file := filepath.Join(t.TempDir(), "alerts.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// scraped is a Headway of separate programs that a Prometheus scrapes.
type scraped struct {
	t                                        *testing.T
	log                                      *headwaytest.NATSServer
	redis                                    *headwaytest.RedisServer
	ingest, detector                         *process
	apiURL, natsURL, redisURL, headway, prom string
	ray                                      atomic.Bool // whether the Ray cluster answers
	events                                   atomic.Int64
}

func newScraped(t *testing.T, bin string) *scraped {
	t.Helper()
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("SKIPPED: no prometheus on this machine")
	}
	s := &scraped{t: t, log: headwaytest.NATS(t), redis: headwaytest.RedisChild(t), headway: filepath.Join(bin, "headway")}
	s.natsURL, s.redisURL = s.log.URL(), s.redis.URL()
	s.ray.Store(true)
	ray := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := map[string]string{"/api/version": `{"ray_version":"2.60.0","session_name":"s"}`, "/api/jobs/": `[]`}[r.URL.Path]
		switch {
		case !s.ray.Load():
			w.WriteHeader(http.StatusBadGateway)
		case known:
			_, _ = io.WriteString(w, body)
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	}))
	t.Cleanup(ray.Close)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(chaosPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	targets := ""
	program := func(name string, args ...string) (p *process, url string) {
		at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		targets += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: [%q]}]}\n", name, at)
		return start(t, name, filepath.Join(bin, name), append(args, "--nats-url", s.natsURL, "--listen", at)...), "http://" + at
	}
	stores := []string{"--redis-url", s.redisURL, "--policy", policy}
	s.ingest, _ = program("ingest", stores...)
	s.detector, _ = program("detector", stores...)
	_, s.apiURL = program("api", append(stores, "--namespace-limit", "streams=2")...)
	program("relay", "--ray", "walked="+ray.URL)

	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	config := filepath.Join(t.TempDir(), "prometheus.yaml")
	text := "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [" + hastened(t) + "]\nscrape_configs:\n" + targets
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "prometheus", prometheus, "--config.file", config, "--storage.tsdb.path", t.TempDir(), "--web.listen-address", at)
	s.prom = "http://" + at
	return s
}

// get reads JSON from Prometheus.
func (s *scraped) get(path string, into any) error {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.prom+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

// firing are the labels of the alerts that fire, by name.
func (s *scraped) firing() (map[string][]map[string]string, error) {
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	err := s.get("/api/v1/alerts", &answer)
	out := map[string][]map[string]string{}
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			name := a.Labels["alertname"]
			out[name] = append(out[name], a.Labels)
		}
	}
	return out, err
}

// until waits until an alert fires with a label, if there is one, or until it doesn't fire.
func (s *scraped) until(alert string, fires bool, label [2]string) {
	s.t.Helper()
	eventually(s.t, 4*time.Minute, fmt.Sprintf("%s fires with %v: %v", alert, label, fires), func() error {
		all, err := s.firing()
		if err == nil && slices.ContainsFunc(all[alert], func(l map[string]string) bool { return l[label[0]] == label[1] }) != fires {
			err = fmt.Errorf("firing: %v", all)
		}
		return err
	})
}

// owned waits until Prometheus has seen that all partitions have an owner.
func (s *scraped) owned() {
	s.t.Helper()
	eventually(s.t, 2*time.Minute, "all partitions have an owner", func() error {
		var answer struct {
			Data struct{ Result []struct{ Value []any } }
		}
		err := s.get("/api/v1/query?query=sum(headway_ingest_partitions_owned)+==+32", &answer)
		if err == nil && len(answer.Data.Result) == 0 {
			err = fmt.Errorf("not yet: %v", answer)
		}
		return err
	})
}

// say publishes an event to the log.
func (s *scraped) say(batch, kind, eventType, data string) {
	s.t.Helper()
	text := s.event(eventType, data)
	eventually(s.t, 10*time.Second, "an acknowledgement", func() error { return s.publish(batch, kind, text) })
}

func (s *scraped) publish(batch, kind, text string) error {
	js, err := jetstream.New(s.log.Conn())
	if err == nil {
		_, err = js.Publish(s.t.Context(), "headway.events.walked."+batch+"."+kind, []byte(text))
	}
	return err
}

func (s *scraped) event(eventType, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"test","type":%q,"time":%q,"data":%s}`,
		s.events.Add(1), eventType, time.Now().UTC().Format(time.RFC3339Nano), data)
}

// stuck is a batch that soon gets stuck, done ends it.
func (s *scraped) stuck(batch string) {
	s.t.Helper()
	s.say(batch, "batch", "dev.headway.batch.v1", `{"status":"PROCESSING"}`)
	s.say(batch, "job.j", "dev.headway.job.v1", fmt.Sprintf(pendingJob, ""))
}

func (s *scraped) done(batch string) {
	s.t.Helper()
	s.say(batch, "batch", "dev.headway.batch.v1", `{"status":"COMPLETED"}`)
}

// limit changes a limit of the event log, which has that many bytes, and doctor says what the log is like then.
func (s *scraped) limit(change func(c *jetstream.StreamConfig, bytes uint64)) (doctor string) {
	s.t.Helper()
	js, err := jetstream.New(s.log.Conn())
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := js.Stream(s.t.Context(), eventlog.EventsStream)
	if err != nil {
		s.t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	change(&config, stream.CachedInfo().State.Bytes)
	if _, err := js.UpdateStream(s.t.Context(), config); err != nil {
		s.t.Fatal(err)
	}
	return s.says("doctor", "--nats-url", s.natsURL, "--redis-url", s.redisURL, "--url", s.apiURL)
}

// says is what headway prints, whatever its exit code is.
func (s *scraped) says(args ...string) string {
	out, _ := exec.CommandContext(s.t.Context(), s.headway, args...).CombinedOutput()
	return string(out)
}

// crowd asks for more streams than a namespace may have, until it is ended.
func (s *scraped) crowd() (end func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				_ = sse(ctx, s.apiURL+"/v1/batches/stream", func(string, string, []byte) {})
			}
		})
	}
	return func() { cancel(); clients.Wait() }
}

// pauses holds the detector up again and again, while batches get due, until it is ended. Another detector starts meanwhile with relieve.
func (s *scraped) pauses() (relieve, end func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var held sync.WaitGroup
	held.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_ = s.detector.cmd.Process.Signal(syscall.SIGSTOP)
			batch := fmt.Sprint("late", n)
			_ = s.publish(batch, "batch", s.event("dev.headway.batch.v1", `{"status":"PROCESSING"}`))
			_ = s.publish(batch, "job.j", s.event("dev.headway.job.v1", fmt.Sprintf(pendingJob, "")))
			elapse(ctx, 8*time.Second) // the fault itself: it becomes due after 1 s, and again after 4 s
			_ = s.detector.cmd.Process.Signal(syscall.SIGCONT)
			elapse(ctx, time.Second)
			_ = s.publish(batch, "batch", s.event("dev.headway.batch.v1", `{"status":"COMPLETED"}`))
		}
	})
	var other *process
	return func() {
			args := s.detector.args
			other = start(s.t, "another detector", args[0], append(slices.Clone(args[1:len(args)-1]), "127.0.0.1:0")...)
		}, func() {
			cancel()
			held.Wait()
			if other != nil {
				other.kill()
			}
		}
}

func elapse(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// flaps pauses Redis again and again, each time until Prometheus has seen what that does to ingest, until it is ended.
func (s *scraped) flaps() (end func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	seen := func(ready string) {
		for ctx.Err() == nil {
			var answer struct {
				Data struct{ Result []any }
			}
			err := s.get("/api/v1/query?query=headway_ready%7Bjob%3D%22ingest%22%7D+%3D%3D+"+ready, &answer)
			if err == nil && len(answer.Data.Result) > 0 {
				return
			}
			elapse(ctx, 100*time.Millisecond)
		}
	}
	var pauses sync.WaitGroup
	pauses.Go(func() {
		for ctx.Err() == nil {
			s.redis.Pause()
			seen("0")
			s.redis.Resume()
			seen("1")
		}
	})
	return func() { cancel(); pauses.Wait() }
}

// TestRunbooks walks the pages of all alerts: it causes the fault of each, sees the alert fire, does what the page says ends it, and
// sees it end. HEADWAY_RUNBOOKS is the directory of the built programs; without it the test is skipped.
func TestRunbooks(t *testing.T) {
	bin := os.Getenv("HEADWAY_RUNBOOKS")
	if bin == "" {
		t.Skip("HEADWAY_RUNBOOKS isn't set: `make test-runbooks` walks the runbooks")
	}
	s := newScraped(t, bin)
	s.owned()
	end, relieve := func() {}, func() {}
	for _, w := range []struct {
		alert  string
		label  [2]string // that the alert has to have
		cause  func()
		remedy func()
	}{
		{"HeadwayPartitionUnowned", [2]string{}, s.ingest.kill, s.ingest.start},
		{"HeadwayViewsLag", [2]string{}, s.ingest.kill, s.ingest.start},
		{"HeadwayFreshnessBurn", [2]string{}, s.ingest.kill, s.ingest.start},
		{"HeadwayDetectorFails", [2]string{}, s.detector.kill, s.detector.start},
		{"HeadwayDetectorFails", [2]string{"reason", "unavailable"}, func() {
			s.stuck("full")
			if doctor := s.limit(func(c *jetstream.StreamConfig, _ uint64) { c.MaxBytes = 1 }); !strings.Contains(doctor, "docs/runbooks/HeadwayDetectorFails.md") {
				t.Errorf("doctor doesn't name the page:\n%s", doctor)
			}
		}, func() { s.limit(func(c *jetstream.StreamConfig, _ uint64) { c.MaxBytes = -1 }); s.done("full") }},
		{"HeadwayAnnouncementsRefused", [2]string{}, func() {
			s.stuck("large")
			s.limit(func(c *jetstream.StreamConfig, _ uint64) { c.MaxMsgSize = 64 })
		}, func() { s.limit(func(c *jetstream.StreamConfig, _ uint64) { c.MaxMsgSize = -1 }); s.done("large") }},
		{"HeadwayBatchesStuck", [2]string{"namespace", "walked"}, func() { s.stuck("stuck") }, func() { s.done("stuck") }},
		{"HeadwayDeadLetters", [2]string{}, func() { s.say("odd", "batch", "dev.headway.batch.v1", `"nonsense"`) }, func() {
			if letters := s.says("dlq", "--nats-url", s.natsURL); !strings.Contains(letters, "odd") {
				t.Errorf("headway dlq doesn't show the dead letter:\n%s", letters)
			}
		}},
		{"HeadwayClusterUnreachable", [2]string{"cluster", "walked"}, func() { s.ray.Store(false) }, func() { s.ray.Store(true) }},
		{"HeadwayStreamsRefused", [2]string{"of", "namespace"}, func() { end = s.crowd() }, func() { end() }},
		{"HeadwayStorageFull", [2]string{"of", eventlog.EventsStream}, func() {
			for n := range 20 { // doctor tells full from nearly full by hundredths
				s.done(fmt.Sprint("stored", n))
			}
			if doctor := s.limit(func(c *jetstream.StreamConfig, bytes uint64) { c.MaxBytes = int64(bytes * 10 / 9) }); !strings.Contains(doctor, "docs/runbooks/HeadwayStorageFull.md") {
				t.Errorf("doctor doesn't name the page:\n%s", doctor)
			}
		}, func() { s.limit(func(c *jetstream.StreamConfig, _ uint64) { c.MaxBytes = -1 }) }},
		{"HeadwayReadinessFlaps", [2]string{"job", "ingest"}, func() { end = s.flaps() }, func() { end() }},
		{"HeadwayDetectorLate", [2]string{}, func() { relieve, end = s.pauses() }, func() { relieve() }},
	} {
		name := strings.TrimSpace(w.alert + " " + w.label[1])
		t.Run(name, func(t *testing.T) {
			s.t = t
			s.until(w.alert, false, w.label)
			s.owned()
			begin := time.Now()
			w.cause()
			s.until(w.alert, true, w.label)
			fired := time.Since(begin)
			w.remedy()
			s.until(w.alert, false, w.label)
			fmt.Fprintf(os.Stdout, "%-40s fired after %5.1f s, ended %5.1f s later\n", name, fired.Seconds(), (time.Since(begin) - fired).Seconds())
		})
	}
	end()
}
