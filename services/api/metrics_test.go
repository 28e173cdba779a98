package api

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// sample is the value of one line of /metrics, by its name and labels as written there; "" if there is none.
func (w *world) sample(name string) string {
	w.t.Helper()
	body := w.status(w.get("/metrics"), 200).Body.String()
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (w *world) samples(want map[string]string) {
	w.t.Helper()
	for name, value := range want {
		if got := w.sample(name); got != value {
			w.t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// Streams and what is written to them are counted.
func TestStreamsAreMeasured(t *testing.T) {
	w := newWorld(t)
	w.samples(map[string]string{
		"headway_api_streams": "0", "headway_api_topics": "0", "headway_api_body_bytes": "0",
		`headway_api_frames_total{stream="batch"}`: "0", `headway_api_frames_total{stream="list"}`: "0",
		`headway_api_frames_skipped_total{stream="batch"}`: "0", `headway_api_frames_skipped_total{stream="list"}`: "0",
		`headway_api_events_total{outcome="accepted"}`: "0", `headway_api_events_total{outcome="refused"}`: "0", `headway_api_events_total{outcome="failed"}`: "0",
	})
	base, stop := w.listen()
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
	w.shelf.say(t, one1, "tier", `{"tier_num":0,"processed_documents":1,"total_documents":9}`) // it moves: its health stays
	e := open(t, c, base+"/v1/analytics/performance/batches/b1/diagnostics/stream")
	rows := open(t, c, base+"/v1/batches/stream")
	e.want("snapshot", `"id":"abc_0-1-2"`)
	rows.want("snapshot", `"batch_id":"b1"`)
	w.shelf.say(t, one1, "tier", `{"tier_num":0,"processed_documents":3,"total_documents":9}`)
	e.want("update", `"processed_documents":3`)
	rows.want("update", `"batch_id":"b1"`)
	w.samples(map[string]string{"headway_api_streams": "2", "headway_api_topics": "1"})
	w.shelf.say(t, one1, "batch", `{"status":"COMPLETED"}`)
	e.want("end", `"COMPLETED"`)
	rows.want("update", `"COMPLETED"`)
	rows.want("counts", `"COMPLETED":1`)
	stop() // so that the streams have returned from their last write
	w.samples(map[string]string{
		"headway_api_streams": "0", `headway_api_frames_total{stream="batch"}`: "3", `headway_api_frames_total{stream="list"}`: "4",
		`headway_api_frames_skipped_total{stream="batch"}`: "0", `headway_api_frames_skipped_total{stream="list"}`: "0",
	})
	if n := w.sample(`headway_api_request_duration_seconds_count{route="/v1/batches/stream"}`); n != "" {
		t.Errorf("the duration of %s streams counts as that of an answer", n)
	}
}

// slowWriter writes nothing until it is told to.
type slowWriter struct {
	*httptest.ResponseRecorder

	writes chan struct{} // one value for each write that may be done
	begun  chan struct{} // one value for each write that was begun
}

func (s *slowWriter) Write(b []byte) (int, error) {
	s.begun <- struct{}{}
	<-s.writes
	return s.ResponseRecorder.Write(b)
}

// A slow client of a list gets the newest row of each batch. The rows that are skipped are counted.
func TestSkippedRowsAreMeasured(t *testing.T) {
	for query, skipped := range map[string]string{"": "3", "?ids=b1": "0"} { // with ?ids= what isn't sent may be of other batches
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.shelf.say(t, one1, "batch", `{"status":"PROCESSING"}`)
			w.shelf.say(t, one1, "tier", `{"tier_num":0,"processed_documents":1,"total_documents":9}`)
			slow := &slowWriter{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				w.svc.Handler().ServeHTTP(slow, httptest.NewRequest(http.MethodGet, "/v1/batches/stream"+query, nil))
			}()
			tell := func(n int) {
				w.shelf.say(t, one1, "tier", fmt.Sprintf(`{"tier_num":0,"processed_documents":%d,"total_documents":9}`, n+1))
			}
			<-slow.begun // the snapshot
			slow.writes <- struct{}{}
			synctest.Wait()
			tell(1)
			<-slow.begun // the first row
			for n := range 4 {
				tell(n + 2)
			}
			slow.writes <- struct{}{}
			<-slow.begun // the newest row
			slow.writes <- struct{}{}
			synctest.Wait()
			if strings.Count(slow.Body.String(), "event: update") != 2 {
				t.Errorf("%q: the client got %s", query, slow.Body)
			}
			w.samples(map[string]string{`headway_api_frames_skipped_total{stream="list"}`: skipped, `headway_api_frames_total{stream="list"}`: "3"})
			w.svc.hub.Close()
			<-ended
		})
	}
}

// Requests, events and the bytes of bodies are counted.
func TestRequestsAreMeasured(t *testing.T) {
	w := newWorld(t)
	event := func(id string) []byte { return eventJSON(id, "b1", "batch", `{"status":"PROCESSING"}`, time.Now()) }
	if code, _ := w.post(structuredType, event("1")); code != 202 {
		t.Fatal(code)
	}
	if code, _ := w.post(structuredType, eventJSON("2", "b1", "batch", `{"status":"NO_SUCH"}`, time.Now())); code != 400 {
		t.Fatal(code)
	}
	w.log.err = errors.New("away")
	if code, _ := w.post(structuredType, event("3")); code != 503 {
		t.Fatal(code)
	}
	w.samples(map[string]string{
		`headway_api_events_total{outcome="accepted"}`: "1", `headway_api_events_total{outcome="refused"}`: "1", `headway_api_events_total{outcome="failed"}`: "1",
		`headway_api_requests_total{method="POST",route="/v1/events",status="202"}`: "1",
		`headway_api_requests_total{method="POST",route="/v1/events",status="400"}`: "1",
		`headway_api_request_duration_seconds_count{route="/v1/events"}`:            "3",
	})
	base, _ := w.listen()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	held := func(what string, is func(bytes string) bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !is(w.sample("headway_api_body_bytes")); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s, and %s bytes are counted", what, w.sample("headway_api_body_bytes"))
			}
		}
	}
	half(t, conn, "default", 10_000, bytes.Repeat([]byte(" "), 5000))
	held("half a body is held", func(bytes string) bool { return bytes != "0" })
	_ = conn.Close()
	held("its client has left", func(bytes string) bool { return bytes == "0" })
}

// A scraper gets the format that it asks for.
func TestMetricsInOpenMetrics(t *testing.T) {
	w := newWorld(t)
	for accept, want := range map[string]string{
		"": "text/plain", "text/plain;version=0.0.4": "text/plain", "application/openmetrics-text;version=1.0.0": "application/openmetrics-text",
	} {
		r := w.status(w.get("/metrics", "Accept", accept), 200)
		if got := r.Header().Get("Content-Type"); !strings.HasPrefix(got, want+";") {
			t.Errorf("asked for %q, got %q", accept, got)
		}
		if body := r.Body.String(); strings.HasSuffix(body, "# EOF\n") != (want != "text/plain") || !strings.Contains(body, "headway_api_streams 0") || !strings.Contains(body, "headway_build_info{") {
			t.Errorf("asked for %q, got %s", accept, body)
		}
	}
}
