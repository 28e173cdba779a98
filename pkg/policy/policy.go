package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Set is the thresholds of health, by namespace. It is immutable.
type Set struct {
	byNamespace map[string]diagnostics.Policy
	standard    diagnostics.Policy
	hold        time.Duration
	hash        string
}

// thresholds is one entry of the policy file. Missing values are taken from the defaults.
type thresholds struct {
	WindowGPU    *duration `yaml:"window_gpu"`
	WindowNoGPU  *duration `yaml:"window_no_gpu"`
	Timeout      *duration `yaml:"timeout"`
	Grace        *duration `yaml:"grace"`
	Settle       *duration `yaml:"settle"`
	ScalingDelay *duration `yaml:"scaling_delay"`
	TimeoutMost  *duration `yaml:"timeout_most"`
	Queued       *duration `yaml:"queued"`
	PauseLeast   *duration `yaml:"pause_least"`
	PauseTimes   *int      `yaml:"pause_times"`
	Loop         *int      `yaml:"loop"`
	LoopGap      *duration `yaml:"loop_gap"`
	RefusedFor   *duration `yaml:"refused_for"`
	Clock        *duration `yaml:"clock"`
	ClockSpan    *duration `yaml:"clock_span"`
	ExpectsRay   *bool     `yaml:"expects_ray"`
	Hold         *duration `yaml:"hold"`

	StuckAfter map[string]duration `yaml:"stuck_after"` // by code

	DashboardURL *string  `yaml:"dashboard_url"`
	Actions      []action `yaml:"actions"`
}

// action is a template of a step that a person can take.
type action struct {
	Kind    string `yaml:"kind"`
	Label   string `yaml:"label"`
	Href    string `yaml:"href"`
	Command string `yaml:"command"`
}

// check names the first invalid value.
func (t thresholds) check(where string) error {
	if t.PauseTimes != nil && *t.PauseTimes < 1 {
		return fmt.Errorf("%s.pause_times: must be at least 1", where)
	}
	if t.Loop != nil && *t.Loop < 2 {
		return fmt.Errorf("%s.loop: must be at least 2", where)
	}
	for _, code := range slices.Sorted(maps.Keys(t.StuckAfter)) {
		if !slices.Contains(diagnostics.CauseCodes(), code) {
			return fmt.Errorf("%s.stuck_after: %q is not a known code", where, code)
		}
	}
	for i, a := range t.Actions {
		if err := diagnostics.ActionTemplate(a).Validate(); err != nil {
			return fmt.Errorf("%s.actions[%d]: %w", where, i, err)
		}
	}
	return nil
}

type duration time.Duration

func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	parsed, err := time.ParseDuration(n.Value)
	if err != nil || parsed <= 0 {
		return fmt.Errorf("line %d: %q is not a positive duration such as 20m or 30s", n.Line, n.Value)
	}
	*d = duration(parsed)
	return nil
}

// DefaultHold is how long timers are held after an outage, while producers reconnect.
const DefaultHold = 2 * time.Minute

// Default returns the thresholds that apply without a file.
func Default() *Set {
	p, err := parse(nil)
	if err != nil {
		panic("policy: the default policies: " + err.Error())
	}
	return p
}

// Load reads a policy file (YAML or JSON); path "" gives the defaults. Errors name the line or the key.
func Load(path string) (*Set, error) {
	if path == "" {
		return Default(), nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	p, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("policy: %s: %w", path, err)
	}
	return p, nil
}

func parse(data []byte) (*Set, error) {
	var file struct {
		Default    thresholds            `yaml:"default"`
		Namespaces map[string]thresholds `yaml:"namespaces"`
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	p := &Set{byNamespace: map[string]diagnostics.Policy{}, hold: DefaultHold}
	if file.Default.Hold != nil {
		p.hold = time.Duration(*file.Default.Hold)
	}
	if err := file.Default.check("default"); err != nil {
		return nil, err
	}
	p.standard = file.Default.over(diagnostics.DefaultPolicy())
	for ns, t := range file.Namespaces {
		if t.Hold != nil {
			return nil, fmt.Errorf("namespaces.%s.hold: hold is the same for all namespaces, set default.hold", ns)
		}
		if err := t.check("namespaces." + ns); err != nil {
			return nil, err
		}
		p.byNamespace[ns] = t.over(p.standard)
	}
	sum := sha256.Sum256(fmt.Append(nil, p.standard, p.byNamespace, p.hold))
	p.hash = hex.EncodeToString(sum[:6])
	return p, nil
}

func (t thresholds) over(p diagnostics.Policy) diagnostics.Policy {
	for _, f := range []struct {
		to   *time.Duration
		from *duration
	}{
		{&p.WindowGPU, t.WindowGPU},
		{&p.WindowNoGPU, t.WindowNoGPU},
		{&p.Timeout, t.Timeout},
		{&p.Grace, t.Grace},
		{&p.Settle, t.Settle},
		{&p.ScalingDelay, t.ScalingDelay},
		{&p.TimeoutMost, t.TimeoutMost},
		{&p.Queued, t.Queued},
		{&p.PauseLeast, t.PauseLeast},
		{&p.LoopGap, t.LoopGap},
		{&p.RefusedFor, t.RefusedFor},
		{&p.Clock, t.Clock},
		{&p.ClockSpan, t.ClockSpan},
	} {
		if f.from != nil {
			*f.to = time.Duration(*f.from)
		}
	}
	if t.PauseTimes != nil {
		p.PauseTimes = *t.PauseTimes
	}
	if t.Loop != nil {
		p.Loop = *t.Loop
	}
	if t.ExpectsRay != nil {
		p.ExpectsRay = *t.ExpectsRay
	}
	if len(t.StuckAfter) > 0 {
		after := maps.Clone(p.StuckAfter)
		if after == nil {
			after = make(map[string]time.Duration, len(t.StuckAfter))
		}
		for code, d := range t.StuckAfter {
			after[code] = time.Duration(d)
		}
		p.StuckAfter = after
	}
	if t.DashboardURL != nil {
		p.DashboardURL = *t.DashboardURL
	}
	if t.Actions != nil {
		p.Actions = make([]diagnostics.ActionTemplate, len(t.Actions))
		for i, a := range t.Actions {
			p.Actions[i] = diagnostics.ActionTemplate(a)
		}
	}
	return p
}

// For returns the thresholds of a namespace.
func (p *Set) For(namespace string) diagnostics.Policy {
	if policy, ok := p.byNamespace[namespace]; ok {
		return policy
	}
	return p.standard
}

// Hold is how long timers are held after an outage.
func (p *Set) Hold() time.Duration { return p.hold }

// Hash identifies these thresholds: scores in the due index that were computed under another hash are stale.
func (p *Set) Hash() string { return p.hash }

// Demo returns thresholds of a few seconds, so that a demo shows each health within its first minute.
func Demo() *Set {
	p, err := parse([]byte(`default: {window_gpu: 40s, window_no_gpu: 15s, timeout: 30s, grace: 5s, settle: 20s, scaling_delay: 3s, hold: 5s, pause_least: 10s, stuck_after: {"CAPACITY:NODE_LAUNCHING": 40s, "CAPACITY:QUOTA": 20s, "RAY:NOT_STARTED": 20s}}`))
	if err != nil {
		panic("policy: the demo policies: " + err.Error())
	}
	return p
}
