package judge

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
)

// Policy holds the thresholds of health. Values are for one namespace: see Policies.
type Policy struct {
	WindowGPU    time.Duration // tier requires a GPU or doesn't say; default 20 min
	WindowNoGPU  time.Duration // tier says it needs none; default 5 min
	Timeout      time.Duration // since the last progress; default 30 min
	Grace        time.Duration // before a cause that waiting can't mend makes stuck; default 1 min
	Settle       time.Duration // silence after which a batch without a status word is settled; default 5 min
	ScalingDelay time.Duration // before scaling is announced; default 30 s
	DashboardURL string        // template for ray_dashboard_url, {cluster} {submission_id} {job_id}; "" = none

	TimeoutMost time.Duration // the most by which long documents stretch the timeout; default 6 h
	Queued      time.Duration // before a batch that nobody begins is stuck; default 1 h
	PauseLeast  time.Duration // least silence beyond a tier's rhythm; default 2 min
	PauseTimes  int           // how many times its longest gap so far; default 3
	Loop        int           // ended runs without getting further that make a loop; default 3
	LoopGap     time.Duration // the most between two runs of a loop; default 1 h
	RefusedFor  time.Duration // how long refused events are spoken of after the last; default 10 min
	Clock       time.Duration // by which a clock is off; default 1 min
	ClockSpan   time.Duration // over which a source has to have spoken to tell its clock's pace; default 10 s
	ExpectsRay  bool          // Ray may be spoken of before any job was seen; default false

	StuckAfter map[string]time.Duration // by code, where it isn't as the table of causes says

	Actions []ActionTemplate // beyond those that Ray's own tools offer
}

// DefaultPolicy returns the thresholds of the specification.
func DefaultPolicy() Policy {
	return Policy{
		WindowGPU: 20 * time.Minute, WindowNoGPU: 5 * time.Minute, Timeout: 30 * time.Minute,
		Grace: time.Minute, Settle: 5 * time.Minute, ScalingDelay: 30 * time.Second,
		TimeoutMost: 6 * time.Hour, Queued: time.Hour, PauseLeast: 2 * time.Minute, PauseTimes: 3, Loop: 3, LoopGap: time.Hour,
		RefusedFor: 10 * time.Minute, Clock: time.Minute, ClockSpan: 10 * time.Second,
	}
}

// window is the tier's start window.
func (p *Policy) window(t *Tier) time.Duration {
	if t != nil && t.GPU.Set && !t.GPU.V {
		return p.WindowNoGPU
	}
	return p.WindowGPU
}

// limit is how long after its since a cause makes the tier stuck; ok is false for one that doesn't by itself.
func (p *Policy) limit(r *cause.Row, t *Tier) (d time.Duration, ok bool) {
	if d, set := p.StuckAfter[string(r.Code)]; set {
		return d, true
	}
	switch r.Stuck.Kind {
	case cause.LimitAtOnce:
		return 0, true
	case cause.LimitGrace:
		return p.Grace, true
	case cause.LimitWindow:
		return p.window(t), true
	case cause.LimitTimeout:
		return p.Timeout, true
	case cause.LimitQueued:
		return p.Queued, true
	case cause.LimitOwn:
		return r.Stuck.Time, true
	}
	return 0, false
}
