package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// key is a key of a section, except stuck_after.
type key struct {
	name  string
	in    func(*section) any // where its value stands
	least int                // of an integer
}

// The keys that are no threshold of diagnostics.Policy by themselves.
const (
	hold       = "hold"
	stuckAfter = "stuck_after"
	pipelines  = "pipelines"
	history    = "history"
	redisKeep  = "redis_keep"
)

// keys has all keys in the order in which they are shown.
var keys = []key{
	{name: "window_gpu", in: func(s *section) any { return &s.policy.WindowGPU }},
	{name: "window_no_gpu", in: func(s *section) any { return &s.policy.WindowNoGPU }},
	{name: "timeout", in: func(s *section) any { return &s.policy.Timeout }},
	{name: "timeout_most", in: func(s *section) any { return &s.policy.TimeoutMost }},
	{name: "grace", in: func(s *section) any { return &s.policy.Grace }},
	{name: "queued", in: func(s *section) any { return &s.policy.Queued }},
	{name: "settle", in: func(s *section) any { return &s.policy.Settle }},
	{name: "scaling_delay", in: func(s *section) any { return &s.policy.ScalingDelay }},
	{name: hold, in: func(s *section) any { return &s.hold }},
	{name: "pause_least", in: func(s *section) any { return &s.policy.PauseLeast }},
	{name: "pause_times", in: func(s *section) any { return &s.policy.PauseTimes }, least: 1},
	{name: "loop", in: func(s *section) any { return &s.policy.Loop }, least: 2},
	{name: "loop_gap", in: func(s *section) any { return &s.policy.LoopGap }},
	{name: "refused_for", in: func(s *section) any { return &s.policy.RefusedFor }},
	{name: "clock", in: func(s *section) any { return &s.policy.Clock }},
	{name: "clock_span", in: func(s *section) any { return &s.policy.ClockSpan }},
	{name: "late", in: func(s *section) any { return &s.policy.Late }},
	{name: "first_report", in: func(s *section) any { return &s.policy.FirstReport }},
	{name: history, in: func(s *section) any { return &s.history }},
	{name: redisKeep, in: func(s *section) any { return &s.redisKeep }},
	{name: "expects_ray", in: func(s *section) any { return &s.policy.ExpectsRay }},
	{name: "dashboard_url", in: func(s *section) any { return &s.policy.DashboardURL }},
	{name: "actions", in: func(s *section) any { return &s.policy.Actions }},
}

func keyOf(name string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

// Value is what holds for one key, and where it comes from.
type Value struct {
	Key    string `json:"key"`   // those of stuck_after have the code behind a dot
	Value  string `json:"value"` // as a policy file would have it; "" is none
	Source Source `json:"source"`

	Section string `json:"section,omitempty"` // of the policy file, such as namespaces.search
	Line    int    `json:"line,omitempty"`
}

// Values are everything that holds for a pipeline of a namespace; "" is one that sets nothing of its own.
func (p *Set) Values(namespace, pipeline string) []Value {
	s := p.section(namespace, pipeline)
	out := make([]Value, 0, len(keys)+64)
	put := func(key, value string) {
		from, set := s.set[key]
		if !set {
			from.source = SourceDefault
		}
		out = append(out, Value{Key: key, Value: value, Source: from.source, Section: from.section, Line: from.line})
	}
	for _, k := range keys {
		put(k.name, written(k.in(s)))
	}
	for _, l := range s.policy.CodeLimits() {
		switch text := duration(l.After); {
		case l.Key != "":
			put(stuckAfter+"."+l.Code, l.Key)
		case l.After == 0:
			put(stuckAfter+"."+l.Code, "at once")
		default:
			put(stuckAfter+"."+l.Code, text)
		}
	}
	return out
}

// written is a value as a policy file would have it, on one line.
func written(at any) string {
	switch v := at.(type) {
	case *time.Duration:
		return duration(*v)
	case **Age:
		if *v == nil {
			return ""
		}
		return (*v).String()
	case *int:
		return strconv.Itoa(*v)
	case *bool:
		return strconv.FormatBool(*v)
	case *string:
		return *v
	case *[]diagnostics.ActionTemplate:
		texts := make([]string, len(*v))
		for i, a := range *v {
			texts[i] = a.Kind + ": " + a.Href + a.Command
		}
		return strings.Join(texts, ", ")
	}
	panic(fmt.Sprintf("policy: no text for a %T", at))
}

// duration is a duration without units that are zero: 20m instead of 20m0s.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
