package rayapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// lookTimeout limits a look at a process or a log: Ray itself has no limit for py-spy.
const lookTimeout = 10 * time.Second

// maxLook is the most that is read of a dump or of the end of a log: one line may have any length.
const maxLook = 1 << 20

// ProfilingEnabled reports whether stacks may be taken: since Ray 2.60 only if the head was started with
// RAY_DASHBOARD_ENABLE_PROFILING=1. Ray before that doesn't know the route (*StatusError 404), and allows it.
func (c *Client) ProfilingEnabled(ctx context.Context) (bool, error) {
	var answer struct {
		Data struct {
			Enabled bool `json:"profilingEnabled"`
		} `json:"data"`
	}
	err := c.getJSON(ctx, "/api/profiling_enabled", nil, &answer)
	return answer.Data.Enabled, err
}

// DriverLog requests the last lines of what a job's driver has written. The whole file is never asked for.
func (c *Client) DriverLog(ctx context.Context, submission, node string, lines int) (string, error) {
	return c.look(ctx, "/api/v0/logs/file", url.Values{
		"node_id": {node}, "filename": {"job-driver-" + submission + ".log"}, "lines": {strconv.Itoa(lines)}, "timeout": {"10"}, "filter_ansi_code": {"true"},
	})
}

// Stack requests py-spy's dump of a process that Ray has named. It fails with a *StatusError of 403 where profiling is off, and of 500
// with py-spy's words where that is missing or may not attach.
func (c *Client) Stack(ctx context.Context, pid, node string, children bool) (string, error) {
	q := url.Values{"pid": {pid}, "node_id": {node}, "native": {"0"}, "subprocesses": {"0"}}
	if children {
		q.Set("subprocesses", "1")
	}
	return c.look(ctx, "/worker/traceback", q)
}

// look requests a text that may be long, of which the end counts.
func (c *Client) look(ctx context.Context, path string, q url.Values) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	res, err := c.open(ctx, http.MethodGet, path, q, "text/plain, */*")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var kept []byte
	block := make([]byte, 64<<10)
	for read := 0; read < answerLimit; {
		n, err := res.Body.Read(block)
		read += n
		if kept = append(kept, block[:n]...); len(kept) > 2*maxLook {
			kept = append(kept[:0], kept[len(kept)-maxLook:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return string(kept[max(0, len(kept)-maxLook):]), nil
}

// Supervisor requests the actor that supervises a job: its process is the parent of an entrypoint that never calls ray.init. pid is ""
// if there is none.
func (c *Client) Supervisor(ctx context.Context, submission string) (pid, node string, err error) {
	all, err := stateOf[struct {
		PID   int64  `json:"pid"`
		Node  string `json:"node_id"`
		State string `json:"state"`
	}](ctx, c, "/api/v0/actors", 10, Filter{"name", "_ray_internal_job_actor_" + submission})
	for _, a := range all {
		if a.State == "ALIVE" && a.PID != 0 {
			return strconv.FormatInt(a.PID, 10), a.Node, nil
		}
	}
	return "", "", err
}

// OldestRunning requests the task of a driver that has run for longest; nil if none runs.
func (c *Client) OldestRunning(ctx context.Context, jobID string) (oldest *Task, err error) {
	all, err := stateOf[Task](ctx, c, "/api/v0/tasks", 1_000, Filter{"job_id", jobID}, Filter{"state", "RUNNING"})
	for i := range all {
		if t := &all[i]; t.WorkerPID != 0 && t.Type != "DRIVER_TASK" && (oldest == nil || t.StartMS < oldest.StartMS) {
			oldest = t
		}
	}
	return oldest, err
}

// PID is the id of the task's process, on its node.
func (t *Task) PID() string { return strconv.FormatInt(t.WorkerPID, 10) }
