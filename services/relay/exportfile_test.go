package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/relay/machine"
)

// head is a head node's directory of logs, as Ray keeps it.
type head struct {
	*testing.T
	root string
	x    *exportFiles
	seen []string
}

type nowhere struct{}

func (nowhere) Publish(context.Context, string, ...client.Event) error { return nil }

func newHead(t *testing.T) *head {
	t.Helper()
	h := &head{T: t, root: t.TempDir()}
	r, err := New(Options{Publisher: nowhere{}, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	h.x = newExportFiles(ExportDir{Cluster: "east", Dir: filepath.Join(h.root, "session_latest", "logs", "export_events")}, r)
	t.Cleanup(h.x.close)
	return h
}

// session begins a session, which session_latest then is.
func (h *head) session(name string) {
	h.Helper()
	latest := filepath.Join(h.root, "session_latest")
	_ = os.Remove(latest)
	if err := errors.Join(os.MkdirAll(filepath.Join(h.root, name, "logs", "export_events"), 0o755), os.Symlink(name, latest)); err != nil {
		h.Fatal(err)
	}
}

func (h *head) write(text string) {
	h.Helper()
	f, err := os.OpenFile(filepath.Join(h.x.Dir, exportFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		h.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		h.Fatal(err)
	}
}

func (h *head) rotate() {
	h.Helper()
	path := filepath.Join(h.x.Dir, exportFile)
	for _, n := range []int{2, 1} {
		_ = os.Rename(fmt.Sprintf("%s.%d", path, n), fmt.Sprintf("%s.%d", path, n+1))
	}
	if err := os.Rename(path, path+".1"); err != nil {
		h.Fatal(err)
	}
}

// says reads, and compares what is new.
func (h *head) says(want ...string) {
	h.Helper()
	h.seen = nil
	err := h.x.read(h.Context(), func(_ context.Context, seen ...Observation) error {
		for _, o := range seen {
			h.seen = append(h.seen, fmt.Sprint(o.Cluster, " ", o.Session, " ", o.Submission, " ", o.Status))
		}
		return nil
	})
	if err != nil || !slices.Equal(h.seen, want) {
		h.Errorf("read %q (%v), not %q", h.seen, err, want)
	}
}

func jobLine(submission string, s Status) string {
	return fmt.Sprintf(`{"timestamp": 1795471163, "source_type": "EXPORT_SUBMISSION_JOB", "event_data": {"submission_job_id": %q, "status": %q, "start_time": "1795471163573"}}`+"\n", submission, s)
}

func TestExportFileIsFollowed(t *testing.T) {
	h := newHead(t)
	if err := h.x.read(t.Context(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no session yet: %v", err)
	}
	h.session("session_1")
	if err := h.x.read(t.Context(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file yet: %v", err)
	}
	h.write(jobLine("a", Pending))
	h.says("east session_1 a PENDING")
	h.says()
	line := jobLine("a", Running)
	h.write(line[:40])
	h.says() // it is being written
	h.write(line[40:] + jobLine("b", Pending))
	h.says("east session_1 a RUNNING", "east session_1 b PENDING")
	h.write(jobLine("b", Running)) // written after the last look, then rotated away
	h.rotate()
	h.write(jobLine("a", Succeeded))
	h.says("east session_1 b RUNNING", "east session_1 a SUCCEEDED")
	h.session("session_2")
	h.write(jobLine("a", Pending))
	h.says("east session_2 a PENDING")
}

func TestExportFileFromTheStart(t *testing.T) {
	h := newHead(t)
	h.session("session_1")
	for _, s := range []string{"a", "b", "c"} {
		h.write(jobLine(s, Pending))
		h.rotate()
	}
	h.write(jobLine("d", Pending))
	h.says("east session_1 a PENDING", "east session_1 b PENDING", "east session_1 c PENDING", "east session_1 d PENDING")
}

func TestExportFileCutShort(t *testing.T) {
	h := newHead(t)
	h.session("session_1")
	h.write(jobLine("a", Pending) + jobLine("b", Pending))
	h.says("east session_1 a PENDING", "east session_1 b PENDING")
	if err := os.Truncate(filepath.Join(h.x.Dir, exportFile), 0); err != nil {
		t.Fatal(err)
	}
	h.write(jobLine("c", Pending))
	h.says("east session_1 c PENDING")
}

// What can't be read is counted and holds nothing up.
func TestExportFileUnreadable(t *testing.T) {
	h := newHead(t)
	h.session("session_1")
	bad := []string{
		"nonsense", `{}`, `{"source_type":"EXPORT_TASK"}`, `{"source_type":"EXPORT_SUBMISSION_JOB","timestamp":1,"event_data":{}}`,
		`{"source_type":"EXPORT_SUBMISSION_JOB","event_data":{"submission_job_id":"a","status":"RUNNING"}}`,
		`{"source_type":"EXPORT_SUBMISSION_JOB","timestamp":1,"event_data":{"submission_job_id":"a","status":"DONE"}}`,
		`{"x":"` + strings.Repeat("x", exportLine) + `"}`,
	}
	h.write(jobLine("a", Pending) + strings.Join(bad, "\n") + "\n" + jobLine("b", Pending) + "\x00half a line")
	h.says("east session_1 a PENDING", "east session_1 b PENDING")
	if n := testutil.ToFloat64(h.x.metrics.exported.WithLabelValues("unreadable")); n != float64(len(bad)) {
		t.Errorf("%v lines are unreadable, not %d", n, len(bad))
	}
	h.rotate()
	h.write(jobLine("c", Pending))
	h.says("east session_1 c PENDING")
	if n := testutil.ToFloat64(h.x.metrics.exported.WithLabelValues("cut")); n != 1 {
		t.Errorf("%v lines are cut, not 1", n)
	}
}

// An observation that wasn't taken in is yielded again.
func TestExportFileYieldFails(t *testing.T) {
	h := newHead(t)
	h.session("session_1")
	h.write(jobLine("a", Pending))
	if err := h.x.read(t.Context(), func(context.Context, ...Observation) error { return context.Canceled }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	h.says("east session_1 a PENDING")
}

// The export files alone give each recorded run its outcome.
func TestExportFilesAlone(t *testing.T) {
	runs, err := filepath.Glob("testdata/ray/*.json")
	if err != nil || len(runs) == 0 {
		t.Fatal("no recorded runs", err)
	}
	for _, file := range runs {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var run struct {
			Lines []json.RawMessage `json:"export_submission_job"`
			Seen  map[string]struct {
				Final     Status `json:"final"`
				ErrorType string `json:"error_type"`
				Exit      *int   `json:"driver_exit_code"`
			} `json:"seen"`
		}
		if err := json.Unmarshal(text, &run); err != nil {
			t.Fatal(err)
		}
		for submission, want := range run.Seen {
			var j machine.Job
			for _, line := range run.Lines {
				if o, err := decodeExport(line); err != nil {
					t.Errorf("%s: %v", file, err)
				} else if o.Submission == submission {
					j.Join(o)
				}
			}
			if want.Final == "" {
				if !j.Live() {
					t.Errorf("%s: %s is %s", file, submission, j.Status())
				}
				continue
			}
			errType, exit := j.Outcome()
			if j.Status() != want.Final || errType != want.ErrorType || (exit == nil) != (want.Exit == nil) || want.Exit != nil && *exit != *want.Exit {
				t.Errorf("%s: %s ends %s %s %v, not %+v", file, submission, j.Status(), errType, exit, want)
			}
		}
	}
}
