package machine

import "time"

// Status of a job, under Ray's names.
type Status string

// Values of Status. An empty status means that an observation doesn't contain one.
const (
	Pending   Status = "PENDING"
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Stopped   Status = "STOPPED"
)

// Terminal reports whether s is an end.
func (s Status) Terminal() bool { return s == Succeeded || s == Failed || s == Stopped }

// Observation is something that a source observed of one job. Zero fields are unknown and change nothing.
type Observation struct {
	Cluster    string // name of the cluster, as configured
	Session    string // of the cluster (session_name): job ids restart with each. "" if the source can't know it
	Submission string // required
	Source     string // which source observed it: "api", "events", "export", "kuberay"
	// Outside means that the source looks at the job from outside of any cluster, under a session of its own: the job is
	// the one of this id that a cluster reports. With a Cluster, only that one's.
	Outside bool

	Status Status
	// At is when Status became true, by the cluster's clock. A source that can't know that (a poll) sets SeenBy, and
	// At to the time it observed the status: it has been true since then at the latest.
	At     time.Time
	SeenBy bool

	// Run is Ray's own submission time, which tells apart the jobs that have one submission id, one after the other.
	Run         time.Time
	SubmittedAt time.Time
	EndedAt     time.Time
	Message     string // truncated and redacted by the state machine; sources pass it unchanged
	ErrorType   string
	ExitCode    *int

	// JobID is the driver's job id in hex. A submission may have several drivers, one after the other; the one with
	// the latest DriverAt counts.
	JobID    string
	DriverAt time.Time

	JobName      string
	Metadata     map[string]string
	Resources    map[string]float64 // requested for the entrypoint: CPU, GPU, memory, custom ones
	DashboardURL string             // page of the job, if it isn't on the cluster's own dashboard

	// Environment is what Ray says of the runtime environment of a job that is PENDING.
	Environment string

	// OutOfMemory is when a worker of the job was killed for memory. The outcome itself doesn't contain this.
	OutOfMemory time.Time

	// Waits is what the source itself reports the job to wait for at At. With an empty Kind, the job no longer waits.
	Waits *Waits

	// Lines are the last lines of a container of the job that ended with an error, at At.
	Lines *Lines

	// Forgotten means that the cluster no longer knows the job, though it was alive at At. Evidence says how that is
	// known.
	Forgotten bool
	Evidence  string
}

// Lines are the last lines of a process, fit to be shown, or why there are none.
type Lines struct{ Process, Name, Text, Unavailable string }

// Waits is why a job waits, as reported to a source. Kind is a kind of Headway's waiting_on.
type Waits struct {
	Kind   string
	Code   string // one of docs/causes.md; "" if the source knows none
	Since  time.Time
	At     time.Time // since when this has been known; zero: the observation's At
	Detail string
	Demand map[string]float64
	Worker bool               // a worker isn't there, which the job may be able to do without
	Brings map[string]float64 // what that worker would bring, if it is known
	Asked  []Asked            // what was asked in vain
}

func (w *Waits) verdict(at time.Time) verdict {
	if !w.At.IsZero() {
		at = w.At
	}
	return verdict{
		kind: w.Kind, code: w.Code, who: "entrypoint", since: w.Since, from: at, demand: w.Demand, worker: w.Worker, brings: w.Brings, detail: tidy(w.Detail), asked: w.Asked,
	}
}
