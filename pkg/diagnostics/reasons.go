package diagnostics

import (
	"fmt"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Signals are the words before the colon of a blocked reason: which row of the health table speaks.
const (
	signalProgress      = "progress" // nothing blocks
	signalNoProgress    = "no_progress"
	signalWarmingUp     = "job_warming_up"
	signalColdStart     = "cluster_cold_start"
	signalAwaitingJob   = "awaiting_job"
	signalPending       = "ray_job_pending"
	signalNoJob         = "no_ray_job"
	signalNotFinalized  = "not_finalized"
	signalUnschedulable = "ray_job_unschedulable"
)

// unplaceable tells of a job that Ray says can never be placed.
func unplaceable(w view.Waiting) string {
	needs := "needs what no node type offers"
	if w.DemandJSON != "" {
		needs = "needs " + w.DemandJSON + "; no node type offers it"
	}
	return needs
}

// waits tells what a job waits for.
func waits(w view.Waiting) string {
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
	signalNoProgress:    "no progress for longer than the limit: stuck",
	signalWarmingUp:     "a live job is RUNNING, has processed nothing yet, and is inside the progress timeout: scaling",
	signalColdStart:     "all live jobs are PENDING, inside the start window: scaling",
	signalAwaitingJob:   "the tier has no live job yet, inside the start window: scaling",
	signalPending:       "all live jobs are PENDING for longer than the start window: stuck",
	signalNoJob:         "the tier has had no live job for longer than the start window: stuck",
	signalNotFinalized:  "every tier is over, and the end of the batch wasn't said within the progress timeout: stuck",
	signalUnschedulable: "Ray says that no node type can ever hold the job, for longer than the grace time: stuck at once",
}

// signalOf is the word of a blocked reason before its colon.
func signalOf(reason string) string {
	for i := range reason {
		if reason[i] == ':' {
			return reason[:i]
		}
	}
	return reason
}

// ruleOf is the row of the health table that a verdict's signal stands for, in words.
func ruleOf(signal string) string { return ruleBySignal[signal] }
