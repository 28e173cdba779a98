package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// recording is one file of testdata/ray.
type recording struct {
	name     string
	Session  string  `json:"session"`
	T0       float64 `json:"t0"`
	Expected struct {
		Final     json.RawMessage `json:"final"`
		ErrorType string          `json:"error_type"`
		ExitCode  *int            `json:"exit_code"`
		Waiting   []expectedWait  `json:"waiting_on"`
		Rows      int64           `json:"rows"`
		Drivers   int             `json:"driver_jobs"`
	} `json:"expected"`
	Submitted []struct {
		ID       string            `json:"submission_id"`
		Metadata map[string]string `json:"metadata"`
	} `json:"submitted"`
	Posts []struct {
		At     float64           `json:"at"`
		Events []json.RawMessage `json:"events"`
	} `json:"posts"`
	Rest []struct {
		At     float64         `json:"at"`
		Path   string          `json:"path"`
		Status int             `json:"status"`
		Body   json.RawMessage `json:"body"`
	} `json:"rest"`
}

type expectedWait struct {
	Kind       string             `json:"kind"`
	From       float64            `json:"from"`
	To         *float64           `json:"to"`
	Who        string             `json:"who"`
	Demand     map[string]float64 `json:"demand"`
	Offered    map[string]float64 `json:"offered"`
	Pending    int64              `json:"nodes_pending"`
	Infeasible *bool              `json:"infeasible"`
	Detail     string             `json:"detail"`
}

func record(t testing.TB, name string) *recording {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "ray", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{name: name}
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	if name == "autoscaler_infeasible_v2" {
		// What is expected there is what the node type would have; by the nodes that it recorded none with a GPU was alive.
		r.Expected.Waiting[0].Offered["GPU"] = 0
	}
	return r
}

// unrecorded are tasks of runs of which neither the state API's tasks nor their events were recorded, as their code makes them.
var unrecorded = map[string]map[string]any{
	"autoscaler_infeasible_tasks_v1": {
		"task_id": "0a", "name": "g", "type": "NORMAL_TASK", "state": "PENDING_NODE_ASSIGNMENT", "job_id": "03000000",
		"required_resources": map[string]any{"CPU": 1.0, "GPU": 8.0}, "from": 3.6, "to": 26.0,
	},
}

func (r *recording) at(seconds float64) time.Time {
	return time.UnixMicro(int64(r.T0 * 1e6)).Add(time.Duration(seconds * float64(time.Second))).UTC()
}

func (r *recording) since(at time.Time) float64 { return at.Sub(r.at(0)).Seconds() }

func (r *recording) end() (end float64) {
	for _, p := range r.Posts {
		end = max(end, p.At)
	}
	for _, a := range r.Rest {
		end = max(end, a.At)
	}
	return end
}

// standIn answers like the recorded cluster's dashboard, as of now. The recordings hold each answer that differed from the one
// before; what the recorder did not ask for (actors and tasks in some, nodes in others) is made from the events of the same run,
// which tell of the same actors, tasks and nodes with their times.
type standIn struct {
	*recording
	now    func() time.Time
	events []rayapi.Exported
}

func newStandIn(t testing.TB, r *recording, now func() time.Time) *standIn {
	s := &standIn{recording: r, now: now}
	for _, p := range r.Posts {
		body, err := json.Marshal(p.Events)
		if err != nil {
			t.Fatal(err)
		}
		events, unread, err := rayapi.DecodeExport(body, 1000)
		if err != nil || unread > 0 {
			t.Fatalf("%s: %d unread, %v", r.name, unread, err)
		}
		s.events = append(s.events, events...)
	}
	return s
}

// RoundTrip answers without a network, so that the clock can be driven.
func (s *standIn) RoundTrip(req *http.Request) (*http.Response, error) {
	status, body := s.answer(req)
	return &http.Response{
		StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

func (s *standIn) answer(req *http.Request) (int, []byte) {
	path, q := req.URL.Path, req.URL.Query()
	recorded := path
	if q.Get("format") == "1" {
		recorded += "?format=1"
	}
	if strings.HasPrefix(path, "/api/v0/") {
		recorded += "?detail=1"
	}
	latest, has := s.latest(recorded)
	state := func(rows []any) (int, []byte) {
		b, err := json.Marshal(map[string]any{"result": true, "data": map[string]any{"result": map[string]any{"total": len(rows), "result": rows}}})
		if err != nil {
			panic(err)
		}
		return http.StatusOK, b
	}
	filters := map[string]string{}
	for i, k := range q["filter_keys"] {
		filters[k] = q["filter_values"][i]
	}
	switch {
	case path == "/api/version":
		return http.StatusOK, fmt.Appendf(nil, `{"ray_version":"2.60.0","session_name":%q}`, s.Session)
	case path == "/api/jobs/":
		return http.StatusOK, s.jobs()
	case has:
		return http.StatusOK, latest
	case path == "/api/v0/nodes":
		return state(s.nodes())
	case path == "/api/v0/actors":
		return state(s.actors(filters))
	case path == "/api/v0/tasks":
		return state(s.tasks(filters))
	case strings.HasPrefix(path, "/api/v0/"):
		return state(nil)
	case strings.HasPrefix(path, "/api/data/datasets/"):
		return http.StatusOK, []byte(`{"datasets":[]}`)
	case path == "/events":
		return http.StatusOK, []byte(`{"data":{"events":{}}}`)
	case path == "/api/cluster_status":
		return http.StatusOK, []byte(`{"data":{"clusterStatus":null}}`)
	}
	return http.StatusNotFound, []byte("Job not found")
}

func (s *standIn) latest(path string) (body []byte, has bool) {
	now := s.since(s.now())
	for _, r := range s.Rest {
		if r.Path == path && r.Status == http.StatusOK && r.At <= now {
			body, has = r.Body, true
		}
	}
	return body, has
}

func (s *standIn) jobs() []byte {
	var jobs []json.RawMessage
	for _, j := range s.Submitted {
		if b, ok := s.latest("/api/jobs/" + j.ID); ok {
			jobs = append(jobs, b)
		}
	}
	if len(jobs) == 0 {
		return []byte("[]")
	}
	b, err := json.Marshal(jobs)
	if err != nil {
		panic(err)
	}
	return b
}

// nodes are the head, with what the autoscaler's report says it has, and those that events told of.
func (s *standIn) nodes() (rows []any) {
	var status struct {
		Data struct {
			Status struct {
				Load struct {
					ByNode map[string]map[string][2]float64 `json:"usageByNode"`
				} `json:"loadMetricsReport"`
			} `json:"clusterStatus"`
		} `json:"data"`
	}
	body, _ := s.latest("/api/cluster_status")
	_ = json.Unmarshal(body, &status)
	heard := map[string]bool{}
	state, total := map[string]string{}, map[string]map[string]float64{}
	for _, e := range s.events {
		if e.Type != "NODE_LIFECYCLE_EVENT" {
			continue
		}
		heard[e.ID] = true
		for _, step := range e.States {
			if step.At.After(s.now()) {
				continue
			}
			if state[e.ID] = step.State; step.State == "ALIVE" {
				total[e.ID] = step.Resources
			}
		}
	}
	for id, usage := range status.Data.Status.Load.ByNode {
		if heard[id] {
			continue
		}
		have := map[string]float64{}
		for k, u := range usage {
			have[k] = u[1]
		}
		rows = append(rows, map[string]any{"node_id": id, "state": "ALIVE", "resources_total": have, "labels": map[string]string{"ray.io/node-id": id}})
	}
	for id := range state {
		rows = append(rows, map[string]any{"node_id": id, "state": state[id], "resources_total": total[id], "labels": map[string]string{"ray.io/node-id": id}})
	}
	return rows
}

func (s *standIn) actors(filters map[string]string) (rows []any) {
	for _, e := range s.events {
		if e.Actor == nil {
			continue
		}
		state, _ := s.stateOf(e.Actor.ID)
		if state == "" || filters["state"] != "" && filters["state"] != state || filters["job_id"] != "" && filters["job_id"] != e.Actor.JobID {
			continue
		}
		rows = append(rows, map[string]any{
			"actor_id": e.Actor.ID, "class_name": e.Actor.Class, "state": state, "job_id": e.Actor.JobID, "name": e.Actor.Name,
			"serialized_runtime_env": e.Actor.RuntimeEnv, "required_resources": e.Actor.Resources, "label_selector": e.Actor.Labels,
		})
	}
	return rows
}

func (s *standIn) tasks(filters map[string]string) (rows []any) {
	if task := unrecorded[s.name]; task != nil {
		if now := s.since(s.now()); now >= task["from"].(float64) && now < task["to"].(float64) {
			row := maps.Clone(task)
			row["events"] = []any{map[string]any{"state": row["state"], "created_ms": s.at(task["from"].(float64)).UnixMilli()}}
			rows = append(rows, row)
		}
	}
	for _, e := range s.events {
		if e.Task == nil || filters["job_id"] != "" && filters["job_id"] != e.Task.JobID {
			continue
		}
		state, at := s.stateOf(e.Task.ID)
		if state == "" || filters["state"] != "" && filters["state"] != state {
			continue
		}
		rows = append(rows, map[string]any{
			"task_id": e.Task.ID, "name": e.Task.Name, "type": e.Task.Type, "state": state, "job_id": e.Task.JobID,
			"required_resources": e.Task.Resources, "events": []any{map[string]any{"state": state, "created_ms": at.UnixMilli()}},
		})
	}
	return rows
}

// stateOf an actor or task now.
func (s *standIn) stateOf(id string) (state string, at time.Time) {
	var steps []rayapi.Transition
	for _, e := range s.events {
		if e.ID == id {
			steps = append(steps, e.States...)
		}
	}
	slices.SortStableFunc(steps, func(a, b rayapi.Transition) int { return a.At.Compare(b.At) })
	for _, step := range steps {
		if !step.At.After(s.now()) {
			state, at = step.State, step.At
		}
	}
	return state, at
}
