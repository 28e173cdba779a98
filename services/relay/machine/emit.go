package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// EventSource is the source field of all events that relays publish. The cluster is named in the event itself.
const EventSource = "headway/relay"

// fact is an event to be published, with a name that is the same in every relay.
type fact struct {
	name string
	at   time.Time
	data client.Facts
}

// eventID is derived from the session, the submission with its run, and the fact.
func (j *Job) eventID(name string) string {
	key := j.Session + "\n" + j.Submission
	if run := j.run(); run != "" {
		key += "\n" + run
	}
	sum := sha256.Sum256([]byte(key))
	return "ray-" + hex.EncodeToString(sum[:8]) + "-" + name
}

// run is the job's run as events say it.
func (j *Job) run() string {
	if j.Run.IsZero() {
		return ""
	}
	return j.Run.UTC().Format("2006-01-02T15:04:05.000Z")
}

// facts returns the events that follow from a job's state, in order of time. Each is complete: it repeats what was
// known at its time, so that a lost event leaves no gap.
func (j *Job) facts(p Place, link string) []fact {
	var out []fact
	base := func(s Status) *client.Job { return j.base(p, link, s) }
	if begun := j.begun(); !begun.IsZero() {
		out = append(out, fact{"pending", begun, base(Pending)})
	}
	if started := earliest(j.started, j.startSeen); !started.IsZero() {
		f := base(Running)
		f.StartedAt = timePtr(j.started)
		name := "running"
		if j.started.IsZero() {
			name = "running-seen"
		}
		out = append(out, fact{name, started, f})
		if id, since := j.JobID(); id != "" {
			f := base(Running)
			f.StartedAt, f.JobID = timePtr(j.started), id
			out = append(out, fact{"driver-" + id, latest(started, since), f})
		}
	}
	if len(j.ends) > 0 {
		end := j.ends[0]
		f := base(end.status)
		f.StartedAt, f.EndedAt = timePtr(j.started), timePtr(end.at)
		f.JobID, _ = j.JobID()
		for _, o := range j.ends { // what other sources said of the same end
			if o.status == end.status && o.told == end.told {
				f.Message, f.ErrorType = orElse(f.Message, o.message), orElse(f.ErrorType, o.errType)
				if f.ExitCode == nil {
					f.ExitCode = o.exit
				}
			}
		}
		if f.ErrorType == entrypointError && !j.oom.IsZero() && end.at.Sub(j.oom).Abs() < oomExplains {
			f.ErrorType, f.Message = "NODE_OUT_OF_MEMORY", "a worker was killed for memory shortly before. "+f.Message
		}
		if strings.Contains(f.Message, killedForMemory) { // of the supervisor itself
			f.ErrorType = "NODE_OUT_OF_MEMORY"
		}
		at := end.at
		for _, o := range j.ends[1:] { // an end that was only concluded may have been published with a later time
			if at.Before(o.at) {
				at = o.at.Add(time.Microsecond)
			}
		}
		out = append(out, fact{"end-" + strings.ToLower(string(end.status)), at, f})
	}
	return out
}

// shows keeps the last lines of a container. An event of them says nothing of the job itself.
func (e *entry) shows(o *Observation) {
	if e.lines != nil && !o.At.After(e.lines.at) {
		return
	}
	e.lines = &fact{fmt.Sprintf("lines-%s-%d", o.Lines.Process, o.At.UnixMilli()), o.At, &client.Proof{
		SubmissionID: e.job.Submission, Cluster: e.job.Cluster, Run: e.job.run(), Kind: "log",
		Process: o.Lines.Process, Name: o.Lines.Name, Text: o.Lines.Text, Unavailable: o.Lines.Unavailable,
	}}
}

// base returns the fields that every event of the job has.
func (j *Job) base(p Place, link string, s Status) *client.Job {
	return &client.Job{
		TierNum: p.Tier, Attempt: p.Attempt, SubmissionID: j.Submission, Run: j.run(), Extractor: p.Extractor, Status: string(s),
		DashboardURL: link, Cluster: j.Cluster, Session: j.Session, SubmittedAt: timePtr(j.Submitted), Resources: resources(j.Resources),
	}
}

// Ray reports a worker that was killed for memory as an entrypoint that exits with 1, if the driver gives up because
// of it.
const (
	entrypointError = "JOB_ENTRYPOINT_COMMAND_ERROR"
	oomExplains     = time.Minute
	killedForMemory = "killed due to the node running low on memory"
)

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func timePtr(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// resources returns those demands that an event has fields for.
func resources(demand map[string]float64) map[string]any {
	out := map[string]any{}
	for from, to := range map[string]string{"CPU": "num_cpus", "GPU": "num_gpus"} {
		if n := demand[from]; n > 0 {
			out[to] = n
		}
	}
	if n := demand["memory"]; n > 0 {
		out["memory_bytes"] = int64(n)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
