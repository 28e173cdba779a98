package judge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
)

// Policy holds the thresholds of health. Values are for one namespace: see Policies.
type Policy struct {
	WindowGPU    time.Duration // tier requires a GPU or doesn't say; default 20 min
	WindowNoGPU  time.Duration // tier says it needs none; default 5 min
	Timeout      time.Duration // since the last progress; default 30 min
	Grace        time.Duration // after which a cause that waiting can't fix makes a tier stuck; default 1 min
	Settle       time.Duration // silence after which a batch without a reported status is settled; default 5 min
	ScalingDelay time.Duration // before scaling is announced; default 30 s
	DashboardURL string        // template for ray_dashboard_url, {cluster} {submission_id} {job_id}; "" = none

	TimeoutMost time.Duration // the most by which long documents extend the timeout; default 6 h
	Queued      time.Duration // after which a batch that hasn't begun is stuck; default 1 h
	PauseLeast  time.Duration // least silence beyond a tier's rhythm; default 2 min
	PauseTimes  int           // how many times its longest gap so far; default 3
	Loop        int           // ended runs without getting further that make a loop; default 3
	LoopGap     time.Duration // the most between two runs of a loop; default 1 h
	RefusedFor  time.Duration // how long rejected events are reported after the last of them; default 10 min
	Clock       time.Duration // by which a clock may be wrong; default 1 min
	ClockSpan   time.Duration // over which a source has to report before its clock is judged; default 10 s
	Late        time.Duration // by which an event of a source that was in time is late; default 5 min
	FirstReport time.Duration // after the start, from when on a first report is late; default 5 min
	ExpectsRay  bool          // texts may mention Ray before any job was seen; default false

	StuckAfter map[string]time.Duration // by code, where it differs from the table of causes

	Actions []ActionTemplate // beyond those that Ray's own tools offer

	Pipelines map[string]Policy // those of pipelines, by name, where they differ
}

// DefaultPolicy returns the thresholds of the specification.
func DefaultPolicy() Policy {
	return Policy{
		WindowGPU: 20 * time.Minute, WindowNoGPU: 5 * time.Minute, Timeout: 30 * time.Minute,
		Grace: time.Minute, Settle: 5 * time.Minute, ScalingDelay: 30 * time.Second,
		TimeoutMost: 6 * time.Hour, Queued: time.Hour, PauseLeast: 2 * time.Minute, PauseTimes: 3, Loop: 3, LoopGap: time.Hour,
		RefusedFor: 10 * time.Minute, Clock: time.Minute, ClockSpan: 10 * time.Second,
		Late: 5 * time.Minute, FirstReport: 5 * time.Minute,
	}
}

// Hash identifies the thresholds, with those of the pipelines: 12 hexadecimal digits.
func (p Policy) Hash() string {
	sum := sha256.Sum256(fmt.Append(nil, p)) // which writes maps in the order of their keys
	return hex.EncodeToString(sum[:6])
}

// For is the policy that holds for a batch: that of its pipeline, if that has its own.
func (p Policy) For(d *Derived) Policy {
	if own, ok := p.Pipelines[string(d.State.Pipeline.V)]; ok && d.State.Pipeline.Set {
		return own
	}
	return p
}

// window is the tier's start window.
func (p *Policy) window(t *Tier) time.Duration {
	if t != nil && t.GPU.Set && !t.GPU.V {
		return p.WindowNoGPU
	}
	return p.WindowGPU
}

// limit is the time after which a cause makes the tier stuck; ok is false for one that never does so by itself.
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

// CodeLimit is the time after which a cause that a source reports makes its tier stuck.
type CodeLimit struct {
	Code  string
	After time.Duration // if Key is empty; 0: at once
	Key   string        // the keys of the policy from which it follows, or the timers
}

// CodeLimits are the limits of the codes that StuckAfter can set, in the order of the table of causes.
func (p *Policy) CodeLimits() []CodeLimit {
	var out []CodeLimit
	for _, r := range cause.Table() {
		code := string(r.Code)
		if CheckStuckAfter(code) != nil {
			continue
		}
		d, set := p.StuckAfter[code]
		switch {
		case set:
			out = append(out, CodeLimit{Code: code, After: d})
		case r.Stuck.Kind == cause.LimitOwn || r.Stuck.Kind == cause.LimitAtOnce:
			out = append(out, CodeLimit{Code: code, After: r.Stuck.Time})
		default:
			out = append(out, CodeLimit{Code: code, Key: limitKeys[r.Stuck.Kind]})
		}
	}
	return out
}

// limitKeys are the keys of the policy from which limits follow.
var limitKeys = map[cause.LimitKind]string{
	cause.LimitGrace: "grace", cause.LimitWindow: "window_gpu or window_no_gpu", cause.LimitTimeout: "timeout", cause.LimitQueued: "queued",
	cause.LimitTimer: "the timers",
}

// CheckStuckAfter returns why StuckAfter has no effect on a code; nil if it has one.
func CheckStuckAfter(code string) error {
	r, known := cause.RowOf(cause.Code(code))
	switch {
	case !known:
		return errors.New("is not a known code")
	case strings.HasPrefix(code, "REPORTING:"):
		return errors.New("is a doubt, which never makes a tier stuck")
	case r.Stuck.Kind == cause.LimitNever:
		return errors.New("never makes a tier stuck")
	case r.Code == cause.RetryLoop:
		return errors.New("has no limit of its own: set loop")
	case r.Timer:
		return errors.New("has no limit of its own: set " + limitKeys[r.Stuck.Kind])
	}
	return nil
}
