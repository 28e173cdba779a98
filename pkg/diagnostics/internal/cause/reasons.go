package cause

import (
	"fmt"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Signals are the words before the colon of a blocked reason: which row of the health table speaks.
const (
	Progress            = "progress" // nothing blocks
	NoProgress          = "no_progress"
	JobWarmingUp        = "job_warming_up"
	ClusterColdStart    = "cluster_cold_start"
	AwaitingJob         = "awaiting_job"
	RayJobPending       = "ray_job_pending"
	NoRayJob            = "no_ray_job"
	NotFinalized        = "not_finalized"
	RayJobUnschedulable = "ray_job_unschedulable"
)

// Unplaceable tells of a job that Ray says can never be placed.
func Unplaceable(w view.Waiting) string {
	needs := "needs what no node type offers"
	if w.DemandJSON != "" {
		needs = "needs " + w.DemandJSON + "; no node type offers it"
	}
	return needs
}

// Waits tells what a job waits for.
func Waits(w view.Waiting) string {
	var b strings.Builder
	switch w.Kind {
	case "resources":
		b.WriteString("waiting for resources")
	case "runtime_env":
		b.WriteString("runtime environment being built")
	case "node_launch":
		b.WriteString("nodes being launched")
	case "image_pull":
		b.WriteString("image being pulled")
	case "quota":
		b.WriteString("waiting for quota")
	}
	if w.DemandJSON != "" {
		b.WriteString(", needs " + w.DemandJSON)
	}
	if w.OfferedJSON != "" {
		b.WriteString(", offered " + w.OfferedJSON)
	}
	if w.NodesPending.Set && w.NodesPending.V > 0 {
		fmt.Fprintf(&b, ", %d on the way", w.NodesPending.V)
	}
	return b.String()
}

// ruleBySignal has the rows of the health table in words, by the signal of their verdict.
var ruleBySignal = map[string]string{
	NoProgress:          "no progress for longer than the limit: stuck",
	JobWarmingUp:        "a live job is RUNNING, has processed nothing yet, and is inside the progress timeout: scaling",
	ClusterColdStart:    "all live jobs are PENDING, inside the start window: scaling",
	AwaitingJob:         "the tier has no live job yet, inside the start window: scaling",
	RayJobPending:       "all live jobs are PENDING for longer than the start window: stuck",
	NoRayJob:            "the tier has had no live job for longer than the start window: stuck",
	NotFinalized:        "every tier is over, and the end of the batch wasn't said within the progress timeout: stuck",
	RayJobUnschedulable: "Ray says that no node type can ever hold the job, for longer than the grace time: stuck at once",
}

// SignalOf is the word of a blocked reason before its colon.
func SignalOf(reason string) string {
	for i := range reason {
		if reason[i] == ':' {
			return reason[:i]
		}
	}
	return reason
}

// RuleOf is the row of the health table that a verdict's signal stands for, in words.
func RuleOf(signal string) string { return ruleBySignal[signal] }
