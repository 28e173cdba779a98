package kuberay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/services/relay"
)

// state is one document of a story, see testdata/README.md.
type state struct {
	At      string           `json:"at"`
	Object  map[string]any   `json:"object"`
	Status  map[string]any   `json:"status"`
	Pods    []map[string]any `json:"pods"`
	Deleted bool             `json:"deleted"`
	Says    []string         `json:"says"`
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
			line += fmt.Sprintf(" waits %s %s: %s", o.Waits.Kind, o.Waits.Since.Format(time.TimeOnly), o.Waits.Detail)
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
			w := &watched{}
			for i, s := range states {
				j, err := decode(asJSONText(t, s.Object))
				if err != nil {
					t.Fatal(err)
				}
				w.job = j
				var pods []json.RawMessage
				for _, p := range s.Pods {
					pods = append(pods, asJSONText(t, p))
				}
				got := said(w.look(decodePods(pods)))
				if s.Deleted {
					got = said(w.gone(deletedAt))
				}
				if strings.Join(got, "\n") != strings.Join(s.Says, "\n") {
					t.Errorf("state %d says\n%s\nnot\n%s", i+1, strings.Join(got, "\n"), strings.Join(s.Says, "\n"))
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
	o, ok := j.observe(nil)
	if !ok || o.Session != "rayjob 0b1c2d3e-0000-4000-8000-000000000001" || o.Metadata["headway.tier"] != "2" ||
		o.Resources["CPU"] != 1 || o.Resources["GPU"] != 2 || o.Resources["disk"] != 3 ||
		o.DashboardURL != "http://nightly-hgz5n-head-svc.search.svc.cluster.local:8265/#/jobs/nightly-6xk2p" ||
		!o.SubmittedAt.Equal(time.Date(2026, 3, 1, 10, 0, 4, 0, time.UTC)) || o.Waits == nil || o.Waits.Kind != "" {
		t.Errorf("%+v", o)
	}
	j, _ = decode(asJSONText(t, stories(t)["no_attempt_left"][0].Object))
	if o, _ := j.observe(nil); o.Metadata["headway.batch_id"] != "btch_1" {
		t.Errorf("annotations: %+v", o.Metadata)
	}
}
