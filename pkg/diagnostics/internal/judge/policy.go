package judge

import "time"

// Policy holds the thresholds of health. Values are for one namespace: see Policies.
type Policy struct {
	WindowGPU    time.Duration // tier requires a GPU or doesn't say; default 20 min
	WindowNoGPU  time.Duration // tier says it needs none; default 5 min
	Timeout      time.Duration // since the last progress; default 30 min
	Grace        time.Duration // before an infeasible cause counts; default 1 min
	Settle       time.Duration // silence after which a batch without a status word is settled; default 5 min
	ScalingDelay time.Duration // before scaling is announced; default 30 s
	DashboardURL string        // template for ray_dashboard_url, {cluster} {submission_id} {job_id}; "" = none

	Actions []ActionTemplate // beyond those that Ray's own tools offer
}

// DefaultPolicy returns the thresholds of the specification.
func DefaultPolicy() Policy {
	return Policy{
		WindowGPU: 20 * time.Minute, WindowNoGPU: 5 * time.Minute, Timeout: 30 * time.Minute,
		Grace: time.Minute, Settle: 5 * time.Minute, ScalingDelay: 30 * time.Second,
	}
}
