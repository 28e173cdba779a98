package policy

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

func load(t *testing.T, text string) (*Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestPolicies(t *testing.T) {
	p, err := load(t, "default: {window_gpu: 10m, hold: 1m}\nnamespaces:\n  search: {timeout: 5s, actions: [{kind: retry, command: 'ctl retry {batch_id} {tier_num}'}]}\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.For("other"); got.WindowGPU != 10*time.Minute || got.Timeout != 30*time.Minute {
		t.Errorf("%+v", got)
	}
	if got := p.For("search"); got.WindowGPU != 10*time.Minute || got.Timeout != 5*time.Second || len(got.Actions) != 1 || got.Actions[0].Kind != "retry" {
		t.Errorf("%+v", got)
	}
	if p.Hold() != time.Minute || p.Hash() == Default().Hash() || p.Hash() == "" {
		t.Errorf("hold %v, hash %s", p.Hold(), p.Hash())
	}
	again, err := load(t, `{"namespaces":{"search":{"timeout":"5s","actions":[{"kind":"retry","command":"ctl retry {batch_id} {tier_num}"}]}},"default":{"hold":"1m","window_gpu":"10m"}}`)
	if err != nil || again.Hash() != p.Hash() {
		t.Errorf("the same thresholds as JSON: %v", err)
	}
}

func TestPoliciesRefuse(t *testing.T) {
	for text, says := range map[string]string{
		"default: {windw: 3s}":                       "line 1: default.windw: is not a key",
		"defaults: {timeout: 3s}":                    "line 1: defaults: is not a section",
		"default: {timeout: 3}":                      "positive duration",
		"default: {timeout: -3s}":                    "positive duration",
		"default: {timeout: [3s]}":                   "positive duration",
		"namespaces: {a: {hold: 3s}}":                "namespaces.a.hold",
		"default: {pipelines: {p: {hold: 3s}}}":      "default.pipelines.p.hold: is the same for all",
		"default: {pipelines: {p: {pipelines: {}}}}": "default.pipelines.p.pipelines: is not a key",
		"default: {pipelines: [p]}":                  "default.pipelines: must be a mapping",
		"namespaces: {a b: {timeout: 3s}}":           "namespaces.a b: is not the name of a namespace",
		"namespaces: [a]":                            "namespaces: must be a mapping",
		"default: [":                                 "line 1: is neither YAML nor JSON",
		"default: {}\n---\ndefault: {}":              "line 2: a second document",
		"default: {dashboard_url: [1,2,3]}":          "must be a text",
		"default: {loop: 1}":                         "default.loop: must be an integer, at least 2",
		"default: {pause_times: 1.5}":                "default.pause_times: must be an integer, at least 1",
		"default: {expects_ray: perhaps}":            "must be true or false",

		"default: {timeout: 3s, grace: 4s, timeout: 5s}": "default.timeout: is set twice, first in line 1",

		"default: {stuck_after: {'IMAGE:PULL': 3s}}":             "default.stuck_after.IMAGE:PULL: is not a known code",
		"default: {stuck_after: {'PROGRAM:FAILED': 3s}}":         "never makes a tier stuck",
		"default: {stuck_after: {'REPORTING:CLOCK': 3s}}":        "is a doubt",
		"default: {stuck_after: {'PROGRAM:STANDS_STILL': 3s}}":   "set timeout",
		"default: {stuck_after: {'PIPELINE:NOT_SUBMITTED': 3s}}": "set queued",
		"default: {stuck_after: {'PROGRAM:RETRY_LOOP': 3s}}":     "set loop",
		"default: {stuck_after: {'CAPACITY:QUOTA': soon}}":       `default.stuck_after.CAPACITY:QUOTA: "soon" is not a positive duration`,

		"default: {actions: [{kind: retri, command: x}]}":                   `default.actions[0]: kind: "retri"`,
		"default: {actions: [{kind: retry}]}":                               "either href or command",
		"default: {actions: {kind: retry}}":                                 "default.actions: must be a list",
		"default: {actions: [{kind: retry, comand: x}]}":                    "default.actions[0].comand: is not a key of an action",
		"namespaces: {a: {actions: [{kind: open, href: 'javascript:x'}]}}":  "namespaces.a.actions[0]: href",
		"default: {actions: [{kind: retry, command: 'x {tier}'}]}":          "{tier} is none of",
		"default: {actions: [{kind: retry, command: x, href: 'http://x'}]}": "either href or command",
	} {
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Load("/nowhere/policy.yaml"); err == nil {
		t.Error("a file that isn't there was read")
	}
}

// One reading finds everything that is wrong, each with its line.
func TestAllProblemsAreNamed(t *testing.T) {
	_, err := Parse([]byte("namespaces:\n  search:\n    timout: 3s\n    grace: soon\ndefault:\n  loop: 0\n"))
	var got Problems
	if !errors.As(err, &got) {
		t.Fatalf("%v", err)
	}
	want := Problems{
		{3, "namespaces.search.timout", "is not a key; headway policy show lists them"},
		{4, "namespaces.search.grace", `"soon" is not a positive duration such as 20m or 30s`},
		{6, "default.loop", "must be an integer, at least 2"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// YAML's aliases and merge keys work as in any YAML file.
func TestAliases(t *testing.T) {
	p, err := Parse([]byte("default: &all {timeout: 1h}\nnamespaces:\n  a: &a {timeout: 2h, grace: 3m}\n  b: *a\n  c: {<<: [*all, *a], grace: 4m}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for ns, want := range map[string][2]time.Duration{"a": {2 * time.Hour, 3 * time.Minute}, "b": {2 * time.Hour, 3 * time.Minute}, "c": {time.Hour, 4 * time.Minute}} {
		if got := p.For(ns); got.Timeout != want[0] || got.Grace != want[1] {
			t.Errorf("%s: %v, %v", ns, got.Timeout, got.Grace)
		}
	}
	if _, err := Parse([]byte("default: &x {<<: *x}\n")); err == nil {
		t.Error("a section that contains itself was accepted")
	}
}

const everything = `
default:
  window_gpu: 1s
  window_no_gpu: 2s
  timeout: 3s
  timeout_most: 4s
  grace: 5s
  queued: 6s
  settle: 7s
  scaling_delay: 8s
  hold: 9s
  pause_least: 10s
  pause_times: 11
  loop: 12
  loop_gap: 13s
  refused_for: 14s
  clock: 15s
  clock_span: 16s
  late: 17s
  first_report: 18s
  history: 30d
  redis_keep: 12h
  expects_ray: true
  dashboard_url: https://x
  actions: [{kind: retry, command: x}]
  stuck_after: {"CAPACITY:QUOTA": 20s}
  pipelines: {nightly: {timeout: 21s}}
`

// A policy file can set every threshold of the core, and every documented key can be set.
func TestEveryThresholdHasAKey(t *testing.T) {
	p, err := Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	got, standard := reflect.ValueOf(p.For("")), reflect.ValueOf(diagnostics.DefaultPolicy())
	for i := range got.NumField() {
		if reflect.DeepEqual(got.Field(i).Interface(), standard.Field(i).Interface()) {
			t.Errorf("no key sets %s", got.Type().Field(i).Name)
		}
	}
	for _, v := range p.Values("", "") {
		if v.Source != SourceFile && !strings.HasPrefix(v.Key, "stuck_after.") {
			t.Errorf("%s comes from %s", v.Key, v.Source)
		}
	}
}

// Each value is shown with the place at which it was set.
func TestValuesSayWhereTheyComeFrom(t *testing.T) {
	p, err := Parse([]byte(`default:
  timeout: 90m
  grace: 2m
  stuck_after: {"CAPACITY:QUOTA": 1h}
  pipelines: {nightly: {queued: 9h, grace: 8s}}
namespaces:
  search:
    grace: 90s
    stuck_after:
      CAPACITY:HELD: 5m
    pipelines:
      nightly: {queued: 10h}
      crawl: {timeout: 3h}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		namespace, pipeline string
		want                Value
	}{
		{"search", "", Value{"window_gpu", "20m", SourceDefault, "", 0}},
		{"search", "", Value{"timeout", "1h30m", SourceFile, "default", 2}},
		{"search", "", Value{"grace", "1m30s", SourceNamespace, "namespaces.search", 8}},
		{"search", "", Value{"stuck_after.CAPACITY:QUOTA", "1h", SourceFile, "default", 4}},
		{"search", "", Value{"stuck_after.CAPACITY:HELD", "5m", SourceNamespace, "namespaces.search", 10}},
		{"search", "", Value{"stuck_after.CAPACITY:QUEUED", "2h", SourceDefault, "", 0}},
		{"search", "", Value{"stuck_after.CONTAINER:CRASH_LOOP", "at once", SourceDefault, "", 0}},
		{"search", "nightly", Value{"queued", "10h", SourcePipeline, "namespaces.search.pipelines.nightly", 12}},
		{"search", "nightly", Value{"grace", "8s", SourcePipeline, "default.pipelines.nightly", 5}},
		{"search", "nightly", Value{"timeout", "1h30m", SourceFile, "default", 2}},
		{"search", "crawl", Value{"grace", "1m30s", SourceNamespace, "namespaces.search", 8}},
		{"search", "another", Value{"grace", "1m30s", SourceNamespace, "namespaces.search", 8}},
		{"other", "", Value{"grace", "2m", SourceFile, "default", 3}},
		{"other", "nightly", Value{"queued", "9h", SourcePipeline, "default.pipelines.nightly", 5}},
		{"other", "", Value{"stuck_after.CAPACITY:HELD", "grace", SourceDefault, "", 0}},
	} {
		values := p.Values(c.namespace, c.pipeline)
		i := slices.IndexFunc(values, func(v Value) bool { return v.Key == c.want.Key })
		if i < 0 || values[i] != c.want {
			t.Errorf("%s, %s: want %+v among %+v", c.namespace, c.pipeline, c.want, values)
		}
	}
	if got := p.Pipelines("search"); !slices.Equal(got, []string{"crawl", "nightly"}) {
		t.Errorf("%v", got)
	}
	if got := p.For("search").Pipelines["nightly"]; got.Queued != 10*time.Hour || got.Grace != 8*time.Second || got.Timeout != 90*time.Minute {
		t.Errorf("%+v", got)
	}
	if got := p.Namespaces(); !slices.Equal(got, []string{"search"}) {
		t.Errorf("%v", got)
	}
}
