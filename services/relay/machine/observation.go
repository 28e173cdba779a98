package machine

import "time"

// Status of a job, in Ray's words.
type Status string

// Statuses. Empty means that an observation says nothing of it.
const (
	Pending   Status = "PENDING"
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Stopped   Status = "STOPPED"
)

// Terminal says whether s is an end.
func (s Status) Terminal() bool { return s == Succeeded || s == Failed || s == Stopped }

// Observation is one thing that a source saw of one job. What is zero says nothing and changes nothing.
type Observation struct {
	Cluster    string // name of the cluster, as configured
	Session    string // of the cluster (session_name): job ids restart with each. "" where the source can't know
	Submission string // required
	Source     string // which source saw it: "api", "events", "export", "kuberay"

	Status Status
	// At is when Status became true, by the cluster's clock. Where the source can't know that (a poll), SeenBy
	// is set and At is the moment it was seen: the fact is true since then at the latest.
	At     time.Time
	SeenBy bool

	SubmittedAt time.Time
	EndedAt     time.Time
	Message     string // cut and redacted by the state machine, sources may pass it as it came
	ErrorType   string
	ExitCode    *int

	// JobID is the driver's job id in hex. A submission may have several drivers, one after the other:
	// the latest by DriverAt counts.
	JobID    string
	DriverAt time.Time

	JobName      string
	Metadata     map[string]string
	Resources    map[string]float64 // what the entrypoint demands: CPU, GPU, memory, custom ones
	DashboardURL string             // page of the job, where it isn't the cluster's own

	// OutOfMemory is when a worker of the job was killed for memory; the outcome itself doesn't say so.
	OutOfMemory time.Time

	// Waits is what the source itself knows the job to wait for, at At. One without a Kind: for nothing any more.
	Waits *Waits

	// Forgotten: the cluster knows no such job any more, though it was alive at At. Evidence says how that is known.
	Forgotten bool
	Evidence  string
}

// Waits is why a job waits, as a source was told. Kind is a kind of Headway's waiting_on.
type Waits struct {
	Kind   string
	Since  time.Time
	Detail string
}
