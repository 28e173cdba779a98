package kuberay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/services/relay"
)

// state is one document of a story, see testdata/README.md.
type state struct {
	At        string           `json:"at"`
	Now       string           `json:"now"`
	Object    map[string]any   `json:"object"`
	Spec      map[string]any   `json:"spec"`
	Status    map[string]any   `json:"status"`
	Cluster   map[string]any   `json:"cluster"`
	Pods      []map[string]any `json:"pods"`
	Events    []map[string]any `json:"events"`
	Workloads []map[string]any `json:"workloads"`
	PodGroups []map[string]any `json:"podgroups"`
	Lacks     []string         `json:"lacks"`
	Absent    []string         `json:"absent"`
	Deleted   bool             `json:"deleted"`
	Says      []string         `json:"says"`
}

// lists are the objects of a state besides the RayJob, by the id of their resource.
func (s *state) lists(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	out := map[string][]json.RawMessage{}
	put := func(id string, objects []map[string]any) {
		for _, o := range objects {
			metadata, _ := o["metadata"].(map[string]any)
			if metadata["namespace"] == nil {
				metadata["namespace"] = "search"
			}
			out[id] = append(out[id], asJSONText(t, o))
		}
	}
	if s.Cluster != nil {
		put("rayclusters", []map[string]any{s.Cluster})
	}
	for _, p := range s.Pods {
		labels, _ := p["metadata"].(map[string]any)["labels"].(map[string]any)
		id := "pods"
		if labels["ray.io/cluster"] == nil {
			id = "submitters"
		}
		put(id, []map[string]any{p})
	}
	for _, e := range s.Events {
		if about, ok := e["involvedObject"].(map[string]any); ok && about["namespace"] == nil {
			about["namespace"] = "search"
		}
	}
	put("events", s.Events)
	put("workloads", s.Workloads)
	put("podgroups", s.PodGroups)
	return out
}

// change returns what the watch of a resource tells of a state.
func (s *state) change(t *testing.T, of *resource) change {
	t.Helper()
	switch {
	case slices.Contains(s.Lacks, of.name):
		return change{of: of, lacks: of.right("list", "search")}
	case slices.Contains(s.Absent, of.name):
		return change{of: of, absent: true}
	}
	return change{of: of, whole: true, objects: s.lists(t)[of.id]}
}

func (s *state) now(t *testing.T) time.Time {
	t.Helper()
	text := s.Now
	if text == "" {
		text = s.At
	}
	now, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// stories reads all, with the object of each state whole.
func stories(t *testing.T) map[string][]state {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	out := map[string][]state{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var first, status map[string]any
		at := ""
		for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var raw any
			if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(file, err)
			}
			asJSON, err := json.Marshal(raw)
			if err != nil {
				t.Fatal(file, err)
			}
			var s state
			strict := json.NewDecoder(bytes.NewReader(asJSON))
			strict.DisallowUnknownFields()
			if err := strict.Decode(&s); err != nil {
				t.Fatal(file, err)
			}
			if s.Object != nil {
				first = s.Object
			}
			if s.At == "" {
				s.At = at
			}
			at = s.At
			if s.Object != nil {
				status, _ = first["status"].(map[string]any)
			}
			if s.Status == nil { // of the first document, and of one that is deleted
				s.Status = status
			}
			status = s.Status
			s.Object = map[string]any{}
			if err := json.Unmarshal(asJSONText(t, first), &s.Object); err != nil { // a copy
				t.Fatal(err)
			}
			s.Object["status"] = s.Status
			for k, v := range s.Spec {
				s.Object["spec"].(map[string]any)[k] = v
			}
			s.Object["metadata"].(map[string]any)["managedFields"] = []any{
				map[string]any{"manager": "manager", "operation": "Update", "subresource": "status", "time": s.At},
				map[string]any{"manager": "kubectl", "operation": "Update", "time": "2026-03-02T00:00:00Z"},
			}
			out[strings.TrimSuffix(filepath.Base(file), ".yaml")] = append(out[strings.TrimSuffix(filepath.Base(file), ".yaml")], s)
		}
	}
	return out
}

func asJSONText(t *testing.T, object map[string]any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func said(seen []relay.Observation) []string {
	out := []string{}
	for _, o := range seen {
		at := o.At
		if o.Status.Terminal() {
			at = o.EndedAt
		}
		line := fmt.Sprintf("%s %s @%s", o.Submission, o.Status, at.Format(time.TimeOnly))
		if o.ErrorType != "" {
			line += " (" + o.ErrorType + ")"
		}
		if o.Waits != nil && o.Waits.Kind != "" {
			line += fmt.Sprintf(" waits %s %s: %s", o.Waits.Code, o.Waits.Since.Format(time.TimeOnly), o.Waits.Detail)
			if len(o.Waits.Asked) > 0 {
				var asked []string
				for _, a := range o.Waits.Asked {
					asked = append(asked, a.Says)
				}
				line += " (" + strings.Join(asked, "; ") + ")"
			}
		}
		if o.Forgotten {
			line += " forgotten: " + o.Evidence
		}
		out = append(out, line)
	}
	return out
}

func TestStories(t *testing.T) {
	deletedAt := time.Date(2026, 3, 1, 10, 9, 0, 0, time.UTC)
	for name, states := range stories(t) {
		t.Run(name, func(t *testing.T) {
			var now time.Time
			s := New(Options{Now: func() time.Time { return now }})
			for i := range states {
				state := &states[i]
				now = state.now(t)
				job := change{of: &rayJobs, objects: []json.RawMessage{asJSONText(t, state.Object)}, gone: state.Deleted}
				var got []string
				if state.Deleted {
					now = deletedAt
					got = said(s.take(job))
				} else {
					w := &watched{}
					for _, known := range s.jobs {
						w = known
					}
					before := *w
					s.take(job) // so that it is known what belongs to it
					for i := range others {
						s.take(state.change(t, &others[i]))
					}
					for _, known := range s.jobs {
						known.held, known.said = before.held, before.said
						got = said(s.look(known, true))
					}
				}
				if strings.Join(got, "\n") != strings.Join(state.Says, "\n") {
					t.Errorf("state %d says\n%s\nnot\n%s", i+1, strings.Join(got, "\n"), strings.Join(state.Says, "\n"))
				}
			}
		})
	}
}

// What every observation carries besides.
func TestObservation(t *testing.T) {
	j, err := decode(asJSONText(t, stories(t)["retried"][1].Object))
	if err != nil {
		t.Fatal(err)
	}
	nothing := func() *relay.Waits { return &relay.Waits{} }
	o := j.observe(nothing)
	if o.Session != "rayjob 0b1c2d3e-0000-4000-8000-000000000001" || o.Metadata["headway.tier"] != "2" ||
		o.Resources["CPU"] != 1 || o.Resources["GPU"] != 2 || o.Resources["disk"] != 3 ||
		o.DashboardURL != "http://nightly-hgz5n-head-svc.search.svc.cluster.local:8265/#/jobs/nightly-6xk2p" ||
		!o.SubmittedAt.Equal(time.Date(2026, 3, 1, 10, 0, 4, 0, time.UTC)) || o.Waits == nil || o.Waits.Kind != "" {
		t.Errorf("%+v", o)
	}
	j, _ = decode(asJSONText(t, stories(t)["no_attempt_left"][0].Object))
	if o := j.observe(nothing); o.Metadata["headway.batch_id"] != "btch_1" {
		t.Errorf("annotations: %+v", o.Metadata)
	}
}
