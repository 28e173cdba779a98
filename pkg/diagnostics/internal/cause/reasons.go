package cause

import "strings"

// Signals are the part of a blocked reason before the colon. They name the row of the health table that applies.
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

	PipelineNoJob        = "pipeline_no_job" // if texts must not mention Ray
	PipelineTierSkipped  = "pipeline_tier_skipped"
	PipelineNotSubmitted = "pipeline_not_submitted"
	ProgramStarting      = "program_starting"
)

// Word is the signal of a code that has no row in the health table: "image_pull_failed".
func Word(c Code) string { return strings.ReplaceAll(strings.ToLower(string(c)), ":", "_") }

// ruleBySignal has the rows of the health table in words, by the signal of their verdict.
var ruleBySignal = map[string]string{
	NoProgress:           "no progress for longer than the limit: stuck",
	JobWarmingUp:         "a live job is RUNNING, has processed nothing yet, and is inside the progress timeout: scaling",
	ClusterColdStart:     "all live jobs are PENDING, inside the start window: scaling",
	AwaitingJob:          "the tier has no live job yet, inside the start window: scaling",
	RayJobPending:        "all live jobs are PENDING for longer than the start window: stuck",
	NoRayJob:             "the tier has had no live job for longer than the start window: stuck",
	NotFinalized:         "every tier is over, and the end of the batch wasn't said within the progress timeout: stuck",
	PipelineNoJob:        "nothing runs for the tier: scaling inside the start window, stuck past it",
	PipelineTierSkipped:  "a tier was never begun for longer than the start window, and later tiers are over: stuck",
	PipelineNotSubmitted: "the batch is known for longer than the threshold of a queue, and nothing of it has begun: stuck",
	ProgramStarting:      "the tier says that it works, has counted nothing yet, and is inside the progress timeout: scaling",
	RayJobUnschedulable:  "Ray says that no node type can ever hold the job, for longer than the grace time: stuck at once",
}

// SignalOf is the part of a blocked reason before its colon.
func SignalOf(reason string) string {
	for i := range reason {
		if reason[i] == ':' {
			return reason[:i]
		}
	}
	return reason
}

// RuleOf describes the row of the health table to which a verdict's signal belongs.
func RuleOf(signal string) string {
	if rule, ok := ruleBySignal[signal]; ok {
		return rule
	}
	return "a cause that waiting doesn't fix, or that has lasted longer than its own limit: stuck"
}
