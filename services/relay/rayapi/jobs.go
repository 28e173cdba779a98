package rayapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Job is a JobDetails of the Jobs API. Its runtime_env is left out because it contains environment variables.
type Job struct {
	Type         string            `json:"type"` // SUBMISSION, or DRIVER for one that wasn't submitted
	JobID        string            `json:"job_id"`
	SubmissionID string            `json:"submission_id"`
	Status       string            `json:"status"`
	Message      string            `json:"message"`
	ErrorType    string            `json:"error_type"`
	StartMS      int64             `json:"start_time"` // when it was submitted
	EndMS        int64             `json:"end_time"`
	Metadata     map[string]string `json:"metadata"`
	DriverNodeID string            `json:"driver_node_id"`
	Driver       *DriverInfo       `json:"driver_info"` // nil until the entrypoint has called ray.init
	ExitCode     *int              `json:"driver_exit_code"`
}

// DriverInfo names the process of a driver.
type DriverInfo struct {
	PID string `json:"pid"`
}

// Submitted is when it was submitted.
func (j *Job) Submitted() time.Time { return Millis(j.StartMS) }

// Ended is when it ended; zero while it hasn't.
func (j *Job) Ended() time.Time { return Millis(j.EndMS) }

// Millis converts one of Ray's times, in milliseconds since 1970. A missing time becomes the zero time.
func Millis(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// JobsBody requests the list of all jobs and returns it undecoded, so that the caller decodes only a list that differs
// from the previous one.
func (c *Client) JobsBody(ctx context.Context) ([]byte, error) { return c.get(ctx, "/api/jobs/", nil) }

// DecodeJobs reads a list of jobs. An unreadable job is skipped and counted.
func DecodeJobs(body []byte) (jobs []Job, unread int, err error) {
	if json.Unmarshal(body, &jobs) == nil {
		return jobs, 0, nil
	}
	var each []json.RawMessage
	if err := json.Unmarshal(body, &each); err != nil {
		return nil, 0, fmt.Errorf("rayapi: jobs: %w", err)
	}
	jobs = jobs[:0]
	for _, b := range each {
		var j Job
		if json.Unmarshal(b, &j) != nil {
			unread++
			continue
		}
		jobs = append(jobs, j)
	}
	return jobs, unread, nil
}

// Job requests one job by its submission id or by the id of its driver. It fails with a *StatusError of 404 if there
// is none.
func (c *Client) Job(ctx context.Context, id string) (j Job, err error) {
	err = c.getJSON(ctx, "/api/jobs/"+url.PathEscape(id), nil, &j)
	return j, err
}
