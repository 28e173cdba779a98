package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// fakeRay is a dashboard whose jobs a test changes at will.
type fakeRay struct {
	mu      sync.Mutex
	session string
	jobs    map[string]map[string]any
	hangs   bool
	refuses int
	fails   map[string]int // status by the beginning of a path
	asked   map[string]int
	token   string
}

func (f *fakeRay) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	hangs := f.hangs
	f.mu.Unlock()
	if hangs {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[req.URL.Path]++
	status, body := http.StatusOK, []byte(`{}`)
	for path, code := range f.fails {
		if strings.HasPrefix(req.URL.Path, path) {
			return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader("Internal Server Error")), Header: http.Header{}, Request: req}, nil
		}
	}
	switch {
	case f.refuses != 0:
		status, body = f.refuses, []byte("no")
	case f.token != "" && req.Header.Get("Authorization") != "Bearer "+f.token:
		status, body = http.StatusUnauthorized, []byte("Unauthorized: Missing authentication token")
	case req.URL.Path == "/api/version":
		body = fmt.Appendf(nil, `{"ray_version":"2.60.0","session_name":%q}`, f.session)
	case req.URL.Path == "/api/v0/nodes":
		body = []byte(`{"data":{"result":{"result":[{"node_id":"n1","is_head_node":true,"state":"ALIVE","resources_total":{"CPU":4},"start_time_ms":1}]}}}`)
	case req.URL.Path == "/api/jobs/":
		list := []any{}
		for _, j := range f.jobs {
			list = append(list, j)
		}
		body, _ = json.Marshal(list)
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}, Request: req}, nil
}

func (f *fakeRay) set(id string, status Status, more ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := map[string]any{
		"type": "SUBMISSION", "submission_id": id, "status": string(status), "start_time": epoch.UnixMilli(),
		"metadata": map[string]string{"headway.batch_id": "b", "headway.tier": "0"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		j[more[i].(string)] = more[i+1]
	}
	f.jobs[id] = j
}

func newFakeRay() *fakeRay {
	return &fakeRay{session: "s1", jobs: map[string]map[string]any{}, asked: map[string]int{}}
}

// relaying runs a relay of clusters on a driven clock, which begins at epoch.
func relaying(t *testing.T, clusters map[string]*fakeRay, test func(b *book, r *Relay)) {
	t.Helper()
	all := map[string]http.RoundTripper{}
	for name, f := range clusters {
		all[name] = f
	}
	relayingTo(t, all, test)
}

func relayingTo(t *testing.T, clusters map[string]http.RoundTripper, test func(b *book, r *Relay)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := newBook(t, func() time.Time { return epoch.Add(time.Since(began)) })
		o := Options{Publisher: b, Now: b.now}
		for name, f := range clusters {
			c := Cluster{Name: name, URL: "http://" + name + ":8265", Transport: f}
			if fake, ok := f.(*fakeRay); ok {
				c.Token = fake.token
			}
			o.Clusters = append(o.Clusters, c)
		}
		r, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		test(b, r)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func statusOf(t testing.TB, b *book, id string) string {
	if j := b.job(t, "default/b", id); j != nil {
		return fmt.Sprint(j["status"], " ", j["error_type"])
	}
	return ""
}

// runsOf are the statuses of the jobs that have one id.
func runsOf(t testing.TB, b *book, id string) string {
	t.Helper()
	var all []string
	for _, j := range b.jobs(t, "default/b") {
		if j["ray_job_id"] == id {
			all = append(all, fmt.Sprint(j["status"]))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// An id may be used again once its job was deleted, also in the same session.
func TestAnIDIsUsedAgain(t *testing.T) {
	f := newFakeRay()
	f.set("again", Failed, "end_time", epoch.Add(time.Second).UnixMilli())
	f.set("swift", Running)
	relaying(t, map[string]*fakeRay{"c": f}, func(b *book, _ *Relay) {
		time.Sleep(20 * time.Second)
		f.mu.Lock()
		delete(f.jobs, "again")
		f.mu.Unlock()
		f.set("swift", Running, "start_time", epoch.Add(19*time.Second).UnixMilli()) // deleted and submitted between two lists
		time.Sleep(10 * time.Second)
		f.set("again", Running, "start_time", epoch.Add(29*time.Second).UnixMilli())
		time.Sleep(10 * time.Second)
		if got := runsOf(t, b, "again"); got != "FAILED,RUNNING" {
			t.Errorf("again: %s", got)
		}
		if got := runsOf(t, b, "swift"); got != "FAILED,RUNNING" {
			t.Errorf("swift: %s", got)
		}
	})
}

// A job's id may have dots, and is shown as it is.
func TestAnIDWithDots(t *testing.T) {
	f := newFakeRay()
	f.set("train.2026.1", Running)
	relaying(t, map[string]*fakeRay{"c": f}, func(b *book, _ *Relay) {
		time.Sleep(5 * time.Second)
		if got := statusOf(t, b, "train.2026.1"); got != "RUNNING <nil>" {
			t.Errorf("%q", got)
		}
	})
}

// Jobs of the same id on two clusters are two jobs.
func TestOneIDOnTwoClusters(t *testing.T) {
	east, west := newFakeRay(), newFakeRay()
	west.session = "s2"
	east.set("j", Running)
	west.set("j", Failed, "end_time", epoch.Add(time.Second).UnixMilli())
	relaying(t, map[string]*fakeRay{"east": east, "west": west}, func(b *book, _ *Relay) {
		time.Sleep(10 * time.Second)
		if got := runsOf(t, b, "j"); got != "FAILED,RUNNING" {
			t.Errorf("%s", got)
		}
	})
}

// A cluster that hangs hurts no other, and is followed again once it answers.
func TestAClusterThatHangs(t *testing.T) {
	hung, well := newFakeRay(), newFakeRay()
	hung.hangs = true
	hung.set("there", Running)
	well.set("here", Running)
	relaying(t, map[string]*fakeRay{"hung": hung, "well": well}, func(b *book, r *Relay) {
		time.Sleep(5 * time.Second)
		if got := statusOf(t, b, "here"); got != "RUNNING <nil>" {
			t.Errorf("beside a cluster that hangs: %q", got)
		}
		time.Sleep(time.Minute)
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "hung") || strings.Contains(err.Error(), "well") {
			t.Errorf("ready: %v", err)
		}
		hung.mu.Lock()
		hung.hangs = false
		hung.mu.Unlock()
		time.Sleep(15 * time.Second) // the request that hangs, and the longest pause
		if got := statusOf(t, b, "there"); got != "RUNNING <nil>" {
			t.Errorf("once it answers: %q", got)
		}
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
	})
}

// While the API is down a job stays as it was said last; what ended meanwhile is told then.
func TestAnOutageChangesNothing(t *testing.T) {
	f := newFakeRay()
	f.set("j", Running)
	relaying(t, map[string]*fakeRay{"c": f}, func(b *book, _ *Relay) {
		time.Sleep(time.Minute)
		f.mu.Lock()
		f.refuses = http.StatusBadGateway
		f.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if got := statusOf(t, b, "j"); got != "RUNNING <nil>" {
			t.Errorf("in an outage: %q", got)
		}
		f.mu.Lock()
		f.refuses = 0
		f.mu.Unlock()
		f.set("j", Failed, "end_time", epoch.Add(5*time.Minute).UnixMilli(), "error_type", "E", "driver_exit_code", -9)
		time.Sleep(15 * time.Second) // the longest pause
		j := b.job(t, "default/b", "j")
		if j["status"] != "FAILED" || j["exit_code"] != 137.0 || j["ended_at"] != "2026-03-01T12:05:00Z" {
			t.Errorf("after it: %v", j)
		}
	})
}

// A new session knows nothing of the old one's jobs: those that lived are orphaned, with the evidence; ids may come again.
func TestANewSession(t *testing.T) {
	f := newFakeRay()
	f.set("lived", Running, "job_id", "01000000")
	f.set("over", Succeeded, "end_time", epoch.Add(time.Second).UnixMilli(), "job_id", "02000000")
	relaying(t, map[string]*fakeRay{"c": f}, func(b *book, _ *Relay) {
		time.Sleep(time.Minute)
		f.mu.Lock()
		f.session, f.jobs = "s2", map[string]map[string]any{}
		f.mu.Unlock()
		f.set("next", Running, "job_id", "01000000", "start_time", epoch.Add(time.Minute).UnixMilli())
		f.set("over", Running, "job_id", "02000000", "start_time", epoch.Add(time.Minute).UnixMilli()) // another job of that id
		time.Sleep(15 * time.Second)
		for id, want := range map[string]string{"lived": "FAILED orphaned", "next": "RUNNING <nil>"} {
			if got := statusOf(t, b, id); got != want {
				t.Errorf("%s is %q, want %q", id, got, want)
			}
		}
		if got := runsOf(t, b, "over"); got != "RUNNING,SUCCEEDED" {
			t.Errorf("the jobs of one id, one after the other, are %s", got)
		}
		if m := fmt.Sprint(b.job(t, "default/b", "lived")["message"]); !strings.Contains(m, "s1") || !strings.Contains(m, "s2") {
			t.Errorf("the evidence is %q", m)
		}
	})
}

// A job that the list lacks for a moment isn't forgotten; one that it lacks for long is.
func TestForgotten(t *testing.T) {
	f := newFakeRay()
	f.set("j", Running)
	relaying(t, map[string]*fakeRay{"c": f}, func(b *book, _ *Relay) {
		time.Sleep(20 * time.Second)
		for _, c := range []struct {
			gone time.Duration
			want string
		}{{goneFor - 2*time.Second, "RUNNING <nil>"}, {goneFor + 10*time.Second, "FAILED orphaned"}} {
			f.mu.Lock()
			delete(f.jobs, "j")
			f.mu.Unlock()
			time.Sleep(c.gone)
			if got := statusOf(t, b, "j"); got != c.want {
				t.Errorf("gone for %v: %q, want %q", c.gone, got, c.want)
			}
			f.set("j", Running)
			time.Sleep(10 * time.Second)
		}
	})
}

// A thousand jobs: one relay tells them all, asks with one call for the list, seldom while nothing changes, and sees a change within 5 s.
func TestAThousandJobs(t *testing.T) {
	f := newFakeRay()
	for i := range 1000 {
		f.set(fmt.Sprintf("j-%d", i), Running, "job_id", fmt.Sprintf("%08x", i+1), "metadata", map[string]string{"headway.batch_id": fmt.Sprintf("b-%d", i%50), "headway.tier": "0"})
	}
	relaying(t, map[string]*fakeRay{"c": f}, func(b *book, _ *Relay) {
		time.Sleep(time.Minute)
		seen := map[string]bool{}
		for _, s := range b.said {
			seen[s.event.Data.(*client.Job).SubmissionID] = true
		}
		if len(seen) != 1000 {
			t.Errorf("%d of 1000 jobs were told", len(seen))
		}
		before, lists := len(b.said), f.asked["/api/jobs/"]
		time.Sleep(time.Minute)
		if n := f.asked["/api/jobs/"] - lists; len(b.said) != before || n > 16 {
			t.Errorf("with nothing changing: %d events and %d lists in a minute", len(b.said)-before, n)
		}
		if n := f.asked["/api/v0/tasks"]; n > 30 {
			t.Errorf("%d times asked for tasks: one call for all jobs is enough", n)
		}
		f.set("j-7", Succeeded, "end_time", b.now().UnixMilli(), "metadata", map[string]string{"headway.batch_id": "b-7", "headway.tier": "0"})
		time.Sleep(5 * time.Second)
		if j := b.job(t, "default/b-7", "j-7"); j["status"] != "SUCCEEDED" {
			t.Errorf("5 s after its end it is %v", j["status"])
		}
	})
}

func TestTokens(t *testing.T) {
	f := newFakeRay()
	f.token = "right"
	f.set("j", Running)
	relaying(t, map[string]*fakeRay{"c": f}, func(b *book, _ *Relay) {
		time.Sleep(5 * time.Second)
		if got := statusOf(t, b, "j"); got != "RUNNING <nil>" {
			t.Errorf("with the token: %q", got)
		}
	})
	o := Options{Publisher: newBook(t, present), Clusters: []Cluster{{URL: "http://c:1", Token: "wrong", Transport: f}}}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Probe(t.Context())[0].Err
	if !errors.Is(err, ErrToken) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong one: %v", err)
	}
}

// What the runs recorded of Ray Data are rows of the job's tier, and the operator that holds the others up.
func TestRowsOfRayData(t *testing.T) {
	rec := record(t, "data_progress")
	b := play(t, rec, true, true)
	done, stages := int64(0), map[string]bool{}
	for _, s := range b.said {
		switch d := s.event.Data.(type) {
		case *client.Tier:
			if *d.Processed < done {
				t.Errorf("back from %d to %d", done, *d.Processed)
			}
			done = *d.Processed
			if done > 0 && (d.Total == nil || *d.Total != rec.Expected.Rows) {
				t.Errorf("of a total of %v", d.Total)
			}
		case *client.Stage:
			stages[d.Stage] = true
		}
	}
	if done != rec.Expected.Rows || !stages["ReadRange_1"] {
		t.Errorf("%d rows, want %d; stages %v", done, rec.Expected.Rows, stages)
	}
}
