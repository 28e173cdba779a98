package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Set is the thresholds of health, by namespace. It is immutable.
type Set struct {
	standard    section
	byNamespace map[string]section
	hash        string
}

// section are the thresholds of one namespace, or the standard ones, and where each was set. What isn't in set has its default.
type section struct {
	policy diagnostics.Policy
	hold   time.Duration
	// How long a finished batch is kept in the history, and its view in Redis; nil: as the program says.
	history, redisKeep *Age

	set map[string]origin

	pipelines map[string]section    // of pipelines that set something of their own
	given     map[string]*yaml.Node // their sections in the file, by path
}

// origin is where a value was set.
type origin struct {
	source  Source
	section string
	line    int
}

// Source is where a value comes from.
type Source string

// The sources, from the one that counts least.
const (
	SourceDefault   Source = "default"   // built in
	SourceFile      Source = "file"      // the section default of the policy file
	SourceNamespace Source = "namespace" // the namespace's section of the policy file
	SourcePipeline  Source = "pipeline"  // the pipeline's section in one of these
)

// DefaultHold is how long timers are held after an outage, while producers reconnect.
const DefaultHold = 2 * time.Minute

// Default returns the thresholds that apply without a file.
func Default() *Set { return must("") }

// Demo returns thresholds of a few seconds, so that a demo shows each health within its first minute.
func Demo() *Set {
	return must(`default: {window_gpu: 40s, window_no_gpu: 15s, timeout: 30s, grace: 5s, settle: 20s, scaling_delay: 3s, hold: 5s, pause_least: 10s, stuck_after: {"CAPACITY:NODE_LAUNCHING": 40s, "CAPACITY:QUOTA": 20s, "RAY:NOT_STARTED": 20s}}`)
}

func must(text string) *Set {
	p, err := Parse([]byte(text))
	if err != nil {
		panic("policy: our own thresholds: " + err.Error())
	}
	return p
}

// Load reads a policy file (YAML or JSON); path "" gives the defaults. If the file's contents are wrong, the error is or
// wraps Problems.
func Load(path string) (*Set, error) {
	if path == "" {
		return Default(), nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	p, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("policy: %s: %w", path, err)
	}
	return p, nil
}

// Parse reads the contents of a policy file. An error is Problems.
func Parse(data []byte) (*Set, error) {
	p := &Set{
		standard:    section{policy: diagnostics.DefaultPolicy(), hold: DefaultHold, set: map[string]origin{}, given: map[string]*yaml.Node{}},
		byNamespace: map[string]section{},
	}
	var r reader
	r.file(p, data)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	policies := map[string]diagnostics.Policy{}
	for ns, s := range p.byNamespace {
		policies[ns] = s.policy // with those of its pipelines
	}
	sum := sha256.Sum256(fmt.Append(nil, p.standard.policy, policies, p.standard.hold))
	p.hash = hex.EncodeToString(sum[:6])
	return p, nil
}

func (p *Set) section(namespace, pipeline string) *section {
	s, ok := p.byNamespace[namespace]
	if !ok {
		s = p.standard
	}
	if own, ok := s.pipelines[pipeline]; ok {
		return &own
	}
	return &s
}

// For returns the thresholds of a namespace, and in them those of its pipelines.
func (p *Set) For(namespace string) diagnostics.Policy { return p.section(namespace, "").policy }

// Pipelines are those that set something of their own in a namespace.
func (p *Set) Pipelines(namespace string) []string {
	return slices.Sorted(maps.Keys(p.section(namespace, "").pipelines))
}

// Namespaces are those that set something of their own.
func (p *Set) Namespaces() []string { return slices.Sorted(maps.Keys(p.byNamespace)) }

// Hold is how long timers are held after an outage.
func (p *Set) Hold() time.Duration { return p.standard.hold }

// History is how long a finished batch of a namespace is kept, 0 for ever; otherwise holds where the policy doesn't say.
func (p *Set) History(namespace string, otherwise time.Duration) time.Duration {
	return p.section(namespace, "").history.or(otherwise)
}

// RedisKeep is how long the view of a finished batch stays in Redis after its end, 0 for ever.
func (p *Set) RedisKeep(namespace string, otherwise time.Duration) time.Duration {
	return p.section(namespace, "").redisKeep.or(otherwise)
}

func (a *Age) or(otherwise time.Duration) time.Duration {
	if a == nil {
		return otherwise
	}
	return time.Duration(*a)
}

// Hash identifies these thresholds: scores in the due index that were computed under another hash are stale.
func (p *Set) Hash() string { return p.hash }
