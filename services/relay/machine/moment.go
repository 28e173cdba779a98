package machine

import (
	"maps"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Node is a live node.
type Node struct {
	ID     string
	Total  Shape
	Free   Shape // nil: not known
	Labels map[string]string
	Joined time.Time
}

// Wait is something that a job requested and hasn't got yet.
type Wait struct {
	Submission string
	Who        string // "entrypoint", "actor A", "task g", "placement group p"
	Entrypoint bool
	Shape      Shape
	Labels     map[string]string
	Fallback   []map[string]string // label selectors that will do as well
	Bundles    []Bundle            // of a placement group; Shape is their sum
	Group      string              // id of the placement group
	Strategy   string              // of the placement group; "": not known
	State      string              // in Ray's words, of a placement group's scheduling
	Since      time.Time
	Began      time.Time // when its job began; zero: not known
	Alike      int       // how many of its kind wait, if more than this one are known
	RuntimeEnv string    // in canonical form; "" if it needs none
	Says       string    // what Ray says of the job's environment while it is PENDING
}

// Bundle of a placement group.
type Bundle struct {
	Shape  Shape
	Labels map[string]string
}

// Launching describes nodes of a type that are being launched, and since when, if that is known.
type Launching struct {
	Type  string
	Count int
	Began time.Time // zero: before the relay first looked

	Up      time.Time   // since when a machine of it is there that hasn't joined; zero: none is
	Ended   []time.Time // when earlier launches of the type ended
	Nothing []time.Time // of those since a node joined last, all of which brought none
}

// Holder is something of a job that holds resources.
type Holder struct {
	Submission string // "": of a program that wasn't submitted
	Job        string // id of its driver
	What       string // "entrypoint", "actor A", "placement group p"
	Shape      Shape
	Node       string    // "": not known
	Over       bool      // its job has ended, and this was left behind
	Ended      time.Time // when its job ended
	Count      int       // how many alike it stands for, if more than one
}

// Moment is everything that is known of a cluster as of Now.
type Moment struct {
	Now        time.Time
	Nodes      []Node // those that take work; empty: not known yet, and then no cause is given
	Gone       []Gone
	Waits      []Wait
	Launching  []Launching
	Autoscaler rayapi.Autoscaler
	Words      []rayapi.Word
	Building   map[string]bool   // runtime environments being built, in canonical form
	Failed     map[string]string // runtime environments that could not be built, with the error
	Holders    []Holder
	HeldAt     time.Time       // when actors and placement groups were asked for that hold something; zero: they weren't
	Moving     map[string]bool // submissions with a running task
}

// verdict says why a job waits. Its kind is "" if it waits for nothing.
type verdict struct {
	kind       string
	code       string // of Headway's list of causes; "" leaves it to Headway
	who        string
	since      time.Time
	from       time.Time // earliest time at which this was known: the stamp of its event
	demand     Shape
	offered    Shape
	worker     bool  // one isn't there, which the job may be able to do without
	brings     Shape // what that worker would bring
	pending    *int64
	infeasible *bool
	detail     string
	alike      int
	holders    []Holder
	fixes      []string
	asked      []Asked
}

// Asked is a source that was asked, and what it answered instead of an answer.
type Asked struct{ Source, Says string }

// The causes that the relay gives.
const (
	nodeLaunching  = "CAPACITY:NODE_LAUNCHING"
	nodeRefused    = "CAPACITY:NODE_REFUSED"
	nodeNotJoining = "CAPACITY:NODE_NOT_JOINING"
	preempted      = "CAPACITY:PREEMPTED"
	nodeQuota      = "CAPACITY:QUOTA"
	inUse          = "CAPACITY:IN_USE"
	inUseByItself  = "CAPACITY:IN_USE_BY_ITSELF"
	heldByFinished = "CAPACITY:HELD_BY_FINISHED"
	atLimit        = "CAPACITY:AT_LIMIT"
	tooLarge       = "PLACEMENT:TOO_LARGE"
	labelsLack     = "PLACEMENT:LABELS"
	groupLaid      = "PLACEMENT:GROUP"
	imageFailed    = "IMAGE:PULL_FAILED"
	envBuilding    = "ENVIRONMENT:BUILDING"
	envFailed      = "ENVIRONMENT:FAILED"
	notStarted     = "RAY:NOT_STARTED"
	nodeLost       = "RAY:NODE_LOST"
	unreachable    = "RAY:UNREACHABLE"
	storeFull      = "RAY:OBJECT_STORE_FULL"
	workerFails    = "RAY:WORKER_START_FAILED"
	dependency     = "PROGRAM:DEPENDENCY"
	outOfMemory    = "PROGRAM:OUT_OF_MEMORY"
	retryLoop      = "PROGRAM:RETRY_LOOP"
	unknown        = "UNKNOWN"
)

// freeOf returns what of a node is free by the autoscaler's report, or nil if the report doesn't have the node.
func freeOf(id string, total Shape, a *rayapi.Autoscaler) Shape {
	usage, ok := a.UsageByNode[id]
	if !ok {
		return nil
	}
	free := maps.Clone(total)
	for k := range free {
		u, ok := usage[k]
		if !ok {
			u, ok = usage[rayapi.Camel(k)]
		}
		if ok {
			free[k] = max(0, u[1]-u[0])
		}
	}
	return free
}
