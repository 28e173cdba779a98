package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
		"default: {windw: 3s}":              "windw",
		"default: {timeout: 3}":             "positive duration",
		"default: {timeout: -3s}":           "positive duration",
		"namespaces: {a: {hold: 3s}}":       "namespaces.a.hold",
		"default: [":                        "policy.yaml",
		"default: {dashboard_url: [1,2,3]}": "policy.yaml",

		"default: {actions: [{kind: retri, command: x}]}":                   `default.actions[0]: kind: "retri"`,
		"default: {actions: [{kind: retry}]}":                               "either href or command",
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
