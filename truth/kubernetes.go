package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/kuberay"
	"github.com/headwayhq/headway/services/relay/machine"
)

// kubeLine is what an API server has from a moment on: one object, or what it refuses.
type kubeLine struct {
	at      time.Time
	object  map[string]any
	gone    bool
	lacks   []string // resources that may not be read
	absent  []string // resources that aren't installed
	granted []string // resources that may be read again
}

// kubeEvery is how often what an API server has is judged, as by a relay.
const kubeEvery = 5 * time.Second

// playKubernetes plays the API server's lines of a story to the relay's own source of RayJobs and its state machine, and stores
// what the relay sends.
func (s *story) playKubernetes() error {
	now := s.kube[0].at
	api := &apiServer{objects: map[string]map[string]any{}, status: map[string]int{}}
	source := kuberay.New(kuberay.Options{HTTP: &http.Client{Transport: api}, URL: &url.URL{Scheme: "http", Host: "kubernetes"}, Now: func() time.Time { return now }})
	rules := relay.Rules{Namespace: "team"}
	if err := rules.Compile(); err != nil {
		return err
	}
	state := machine.New(rules)
	for k := 0; !now.After(s.last()); now = s.nextMoment(now, k) {
		for ; k < len(s.kube) && !s.kube[k].at.After(now); k++ {
			api.take(&s.kube[k])
		}
		seen, err := source.Look(context.Background())
		if err != nil {
			return err
		}
		out := state.Step(machine.Seen(seen))
		for _, u := range out.Unplaced {
			return fmt.Errorf("job %s isn't relayed: %s", u.Submission, u.Why)
		}
		state.Step(machine.Kept(out.Events))
		for _, e := range out.Events {
			if err := s.relayed(&e, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextMoment is when the relay looks next: at the next change, or after its pause.
func (s *story) nextMoment(now time.Time, next int) time.Time {
	at := now.Add(kubeEvery)
	if next < len(s.kube) && s.kube[next].at.Before(at) {
		return s.kube[next].at
	}
	return at
}

// last is the last moment that matters to a story.
func (s *story) last() time.Time {
	end := s.kube[len(s.kube)-1].at
	for _, q := range s.asks {
		if q.at.After(end) {
			end = q.at
		}
	}
	for _, f := range s.facts {
		if at := f.at.Add(mostP95); at.After(end) {
			end = at
		}
	}
	return end
}

// relayed stores an event of the relay.
func (s *story) relayed(e *machine.Event, stored time.Time) error {
	job, ok := e.Data.(*client.Job)
	if !ok {
		return fmt.Errorf("the relay sent %T", e.Data)
	}
	data, err := json.Marshal(job)
	if err != nil {
		return err
	}
	event, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": e.ID, "source": machine.EventSource, "type": "dev.headway.job.v1",
		"time": e.Time.UTC().Format(time.RFC3339Nano), "data": json.RawMessage(data),
	})
	if err != nil {
		return err
	}
	kind, err := kindOf("job", data)
	if err != nil {
		return err
	}
	code := ""
	if job.WaitingOn != nil {
		code = job.WaitingOn.Code
	}
	s.inputs = append(s.inputs, input{stored: stored, data: event, kind: kind, id: e.ID, code: code})
	return nil
}

// apiServer is an API server as far as the relay asks one: it lists objects, and refuses what may not be read.
type apiServer struct {
	objects map[string]map[string]any // by path
	status  map[string]int            // answered for a resource, if it isn't 200
}

func (a *apiServer) take(l *kubeLine) {
	for _, r := range l.lacks {
		a.status[r] = http.StatusForbidden
	}
	for _, r := range l.absent {
		a.status[r] = http.StatusNotFound
	}
	for _, r := range l.granted {
		delete(a.status, r)
	}
	if l.object == nil {
		return
	}
	if path := pathOf(l.object); l.gone {
		delete(a.objects, path)
	} else {
		a.objects[path] = l.object
	}
}

// pathOf is where an API server has an object, below the version of its group.
func pathOf(object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	kind, _ := object["kind"].(string)
	path := "/"
	if namespace, ok := metadata["namespace"].(string); ok {
		path = "/namespaces/" + namespace + "/"
	}
	if kind == "PendingWorkloadsSummary" {
		return path + "localqueues/" + fmt.Sprint(metadata["name"]) + "/pendingworkloads"
	}
	return path + strings.ToLower(kind) + "s/" + fmt.Sprint(metadata["name"])
}

// RoundTrip answers a request.
func (a *apiServer) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	if _, below, ok := strings.Cut(strings.TrimPrefix(path, "/apis"), "/v1"); ok { // behind the version of the group
		path = below[strings.IndexByte(below, '/'):]
	}
	resource := path[strings.LastIndexByte(path, '/')+1:]
	code := a.status[resource]
	if code != 0 {
		return respond(r, code, map[string]any{"kind": "Status", "code": code, "message": resource + " is refused"})
	}
	if object, ok := a.objects[path]; ok {
		return respond(r, http.StatusOK, object)
	}
	if !slices.Contains([]string{"rayjobs", "rayclusters", "pods", "events", "workloads", "podgroups"}, resource) {
		return respond(r, http.StatusNotFound, map[string]any{"kind": "Status", "code": http.StatusNotFound, "message": "not found"})
	}
	items := []any{}
	for at, object := range a.objects {
		labels, _ := object["metadata"].(map[string]any)["labels"].(map[string]any)
		if strings.Contains(at, "/"+resource+"/") && selects(r.URL.Query().Get("labelSelector"), labels) {
			items = append(items, object)
		}
	}
	return respond(r, http.StatusOK, map[string]any{"metadata": map[string]any{"resourceVersion": "1"}, "items": items})
}

// selects evaluates selectors that ask whether labels exist, which are all that the relay uses.
func selects(selector string, labels map[string]any) bool {
	for term := range strings.SplitSeq(selector, ",") {
		key, not := strings.CutPrefix(term, "!")
		if _, has := labels[key]; term != "" && has == not {
			return false
		}
	}
	return true
}

func respond(r *http.Request, code int, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text)), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}
