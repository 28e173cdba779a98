package machine

import (
	"cmp"
	"slices"
	"time"
)

// Job is the join of all observations of one submission in one session.
type Job struct {
	Session, Submission string
	Run                 time.Time // Ray's own submission time; zero while no source gave it
	Cluster             string
	Submitted           time.Time // the earliest time given
	DashboardURL        string
	JobName             string
	Metadata            map[string]string
	Resources           map[string]float64

	pending, pendingSeen time.Time            // earliest PENDING: exact time, and upper bound
	started, startSeen   time.Time            // earliest RUNNING: exact time, and upper bound
	alive                time.Time            // latest time at which it was reported alive
	oom                  time.Time            // latest worker killed for memory
	says                 string               // what Ray says of its runtime environment while it is PENDING
	drivers              map[string]time.Time // by job id: the earliest time it was reported
	ends                 []outcome            // latest first, at most endsKept
}

// Bounds of what is remembered. Keeping the n greatest elements of a set is a join too.
const (
	endsKept    = 4
	driversKept = 64
)

// outcome is an end as reported by one source.
type outcome struct {
	told    bool // reported by Ray; else concluded from its silence
	source  string
	at      time.Time
	status  Status
	message string
	errType string
	exit    *int
}

func (a outcome) compare(b outcome) int {
	told := func(o outcome) int {
		if o.told {
			return 1
		}
		return 0
	}
	exit := func(o outcome) int {
		if o.exit == nil {
			return -1 << 31
		}
		return *o.exit
	}
	return cmp.Or(
		cmp.Compare(told(a), told(b)), a.at.Compare(b.at), cmp.Compare(a.status, b.status),
		cmp.Compare(a.errType, b.errType), cmp.Compare(exit(a), exit(b)), cmp.Compare(a.message, b.message), cmp.Compare(a.source, b.source),
	)
}

// Join merges an observation. Order and repetition change nothing.
func (j *Job) Join(o Observation) {
	j.Cluster = max(j.Cluster, o.Cluster)
	j.JobName = max(j.JobName, o.JobName)
	j.DashboardURL = max(j.DashboardURL, o.DashboardURL)
	j.Run = latest(j.Run, o.Run)
	j.Submitted = earliest(j.Submitted, o.SubmittedAt)
	j.oom = latest(j.oom, o.OutOfMemory)
	j.says = max(j.says, o.Environment)
	for k, v := range o.Metadata {
		if j.Metadata == nil {
			j.Metadata = map[string]string{}
		}
		j.Metadata[k] = max(j.Metadata[k], v)
	}
	for k, v := range o.Resources {
		if j.Resources == nil {
			j.Resources = map[string]float64{}
		}
		j.Resources[k] = max(j.Resources[k], v)
	}
	if o.JobID != "" {
		at := o.DriverAt
		if at.IsZero() {
			at = o.At
		}
		j.driver(o.JobID, at)
	}
	switch {
	case o.Forgotten:
		j.end(outcome{source: o.Source, at: o.At, status: Failed, errType: "orphaned", message: o.Evidence})
	case o.Status == Pending && o.SeenBy:
		j.pendingSeen = earliest(j.pendingSeen, o.At)
		j.alive = latest(j.alive, o.At)
	case o.Status == Pending:
		j.pending = earliest(j.pending, o.At)
		j.alive = latest(j.alive, o.At)
	case o.Status == Running && o.SeenBy:
		j.startSeen = earliest(j.startSeen, o.At)
		j.alive = latest(j.alive, o.At)
	case o.Status == Running:
		j.started = earliest(j.started, o.At)
		j.alive = latest(j.alive, o.At)
	case o.Status.Terminal():
		at := o.EndedAt
		if at.IsZero() {
			at = o.At
		}
		j.end(outcome{told: true, source: o.Source, at: at, status: o.Status, message: tidy(o.Message), errType: o.ErrorType, exit: exitCode(o.ExitCode)})
	}
}

// absorb merges what is known of the same job under another session. The key is this job's.
func (j *Job) absorb(o *Job) {
	j.Join(Observation{
		JobName: o.JobName, DashboardURL: o.DashboardURL, Run: o.Run, SubmittedAt: o.Submitted, OutOfMemory: o.oom, Environment: o.says,
		Metadata: o.Metadata, Resources: o.Resources,
	})
	j.pending, j.pendingSeen = earliest(j.pending, o.pending), earliest(j.pendingSeen, o.pendingSeen)
	j.started, j.startSeen = earliest(j.started, o.started), earliest(j.startSeen, o.startSeen)
	j.alive = latest(j.alive, o.alive)
	for id, at := range o.drivers {
		j.driver(id, at)
	}
	for _, end := range o.ends {
		j.end(end)
	}
}

// exitCode returns the exit code as a shell gives it. Ray's Python writes −9 for a command that signal 9 killed, and
// 137 if a shell ran in between.
func exitCode(n *int) *int {
	if n == nil || *n >= 0 {
		return n
	}
	as := 128 - *n
	return &as
}

func (j *Job) end(o outcome) {
	i, found := slices.BinarySearchFunc(j.ends, o, func(a, b outcome) int { return b.compare(a) })
	if found {
		return
	}
	j.ends = slices.Insert(j.ends, i, o)
	if len(j.ends) > endsKept {
		j.ends = j.ends[:endsKept]
	}
}

// Status is the present status, or "" if no source reported one.
func (j *Job) Status() Status {
	switch {
	case len(j.ends) > 0:
		return j.ends[0].status
	case !j.started.IsZero() || !j.startSeen.IsZero():
		return Running
	case !j.pending.IsZero() || !j.pendingSeen.IsZero() || !j.Submitted.IsZero():
		return Pending
	}
	return ""
}

// Outcome is the error type and exit code of the end, as given by the source that takes precedence.
func (j *Job) Outcome() (errType string, exit *int) {
	if len(j.ends) == 0 {
		return "", nil
	}
	return j.ends[0].errType, j.ends[0].exit
}

// begun is when the job was submitted, or first heard of.
func (j *Job) begun() time.Time { return earliest(j.Submitted, earliest(j.pending, j.pendingSeen)) }

// Live reports whether Ray may still change the job.
func (j *Job) Live() bool { s := j.Status(); return s == Pending || s == Running }

// JobID is the id of the latest driver, and the earliest time it was reported.
func (j *Job) JobID() (id string, since time.Time) {
	for k, at := range j.drivers {
		if c := at.Compare(since); id == "" || c > 0 || c == 0 && k > id {
			id, since = k, at
		}
	}
	return id, since
}

func (j *Job) driver(id string, at time.Time) {
	if j.drivers == nil {
		j.drivers = map[string]time.Time{}
	}
	j.drivers[id] = earliest(j.drivers[id], at)
	for len(j.drivers) > driversKept {
		oldest := ""
		for k, at := range j.drivers {
			if c := at.Compare(j.drivers[oldest]); oldest == "" || c < 0 || c == 0 && k < oldest {
				oldest = k
			}
		}
		delete(j.drivers, oldest)
	}
}

// Alive is the last time the job was reported alive.
func (j *Job) Alive() time.Time { return j.alive }

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
