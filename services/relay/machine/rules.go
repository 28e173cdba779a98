package machine

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Rules say where the batch and tier of a job are found. The first rule that yields a value counts: metadata by its keys in
// order, then the patterns in order, each on the submission id and on the job's name; then the defaults.
type Rules struct {
	// Keys are the metadata keys to read, by what they hold: batch, tier, namespace, attempt, extractor. They take
	// precedence over headway.batch_id, headway.tier, headway.namespace, headway.attempt and headway.extractor.
	Keys map[string][]string

	// Patterns are regular expressions with groups named batch, tier, namespace, attempt and extractor.
	Patterns []string

	Namespace   string // namespace of jobs that name none; default "default"
	DefaultTier *int   // tier of jobs that name a batch and no tier; default: such a job isn't relayed

	compiled []*regexp.Regexp
}

// Place is where a job belongs.
type Place struct {
	Namespace, Batch string
	Tier, Attempt    int // Attempt is 0 if none is named
	Extractor        string
	NoTier           bool // the job names a batch, but no tier
}

// parts are what a rule can yield, each with its default metadata key.
var parts = map[string]string{
	"batch": "headway.batch_id", "tier": "headway.tier", "namespace": "headway.namespace",
	"attempt": "headway.attempt", "extractor": "headway.extractor",
}

// Compile checks the rules and compiles their patterns.
func (r *Rules) Compile() error {
	if r.Namespace == "" {
		r.Namespace = "default"
	}
	if !diagnostics.ValidNamespace(r.Namespace) {
		return fmt.Errorf("the default namespace %q is not one: 1 to 128 letters, digits, _ and -", r.Namespace)
	}
	for part := range r.Keys {
		if parts[part] == "" {
			return fmt.Errorf("a metadata key can hold batch, tier, namespace, attempt or extractor, not %q", part)
		}
	}
	r.compiled = nil
	for _, p := range r.Patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return fmt.Errorf("pattern %q: %w", p, err)
		}
		named := 0
		for _, name := range re.SubexpNames()[1:] {
			if name != "" && parts[name] == "" {
				return fmt.Errorf("pattern %q: a group can be named batch, tier, namespace, attempt or extractor, not %q", p, name)
			}
			if name != "" {
				named++
			}
		}
		if named == 0 {
			return fmt.Errorf("pattern %q: no group is named, as in (?P<batch>[a-z0-9]+)_tier(?P<tier>[0-9]+)", p)
		}
		r.compiled = append(r.compiled, re)
	}
	return nil
}

// Map finds where a job belongs. If it can't, why says what is missing or wrong; else why is "".
func (r *Rules) Map(submission, jobName string, metadata map[string]string) (p Place, why string) {
	batch, from := r.find("batch", submission, jobName, metadata)
	if batch == "" {
		return p, "names no batch: set metadata headway.batch_id and headway.tier, or a rule"
	}
	if _, ok := diagnostics.EncodeID(batch); !ok {
		return p, fmt.Sprintf("%s is %q, which is not an id: 1 to 128 bytes without control characters", from, cut(batch))
	}
	p.Batch = batch
	p.Namespace, from = r.find("namespace", submission, jobName, metadata)
	if p.Namespace == "" {
		p.Namespace = r.Namespace
	} else if !diagnostics.ValidNamespace(p.Namespace) {
		return p, fmt.Sprintf("%s is %q, which is not a namespace: 1 to 128 letters, digits, _ and -", from, cut(p.Namespace))
	}
	tier, from := r.find("tier", submission, jobName, metadata)
	switch {
	case tier != "":
		if p.Tier, why = number(from, tier, 0, 9999); why != "" {
			return p, why
		}
	case r.DefaultTier != nil:
		p.Tier = *r.DefaultTier
	default:
		p.NoTier = true
	}
	if attempt, from := r.find("attempt", submission, jobName, metadata); attempt != "" {
		if p.Attempt, why = number(from, attempt, 1, 10_000); why != "" {
			return p, why
		}
	}
	p.Extractor, _ = r.find("extractor", submission, jobName, metadata)
	if _, ok := diagnostics.EncodeID(submission); !ok {
		return p, fmt.Sprintf("its submission id %q is not an id: 1 to 128 bytes without control characters", cut(submission))
	}
	return p, ""
}

func (r *Rules) find(part, submission, jobName string, metadata map[string]string) (value, from string) {
	for _, key := range append(slices.Clone(r.Keys[part]), parts[part]) {
		if v := strings.TrimSpace(metadata[key]); v != "" {
			return v, "metadata " + key
		}
	}
	for i, re := range r.compiled {
		for _, in := range []struct{ text, what string }{{submission, "the submission id"}, {jobName, "the job's name"}} {
			m := re.FindStringSubmatch(in.text)
			if g := re.SubexpIndex(part); m != nil && g > 0 && m[g] != "" {
				return m[g], part + " in " + in.what + " by pattern " + strconv.Itoa(i+1)
			}
		}
	}
	return "", ""
}

func number(from, s string, low, high int) (n int, why string) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, fmt.Sprintf("%s is %q, which is no number from %d to %d", from, cut(s), low, high)
	}
	return n, ""
}

// NoTier returns the reason why a job that names a batch and no tier isn't relayed.
func NoTier(batch string) string {
	return "names batch " + batch + " and no tier: set metadata headway.tier, or name its dataset as tier0_extract"
}

// cut shortens foreign text for a message.
func cut(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
