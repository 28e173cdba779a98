package machine

import (
	"strings"
	"testing"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

func TestMapping(t *testing.T) {
	rules := Rules{
		Keys: map[string][]string{"batch": {"run_id"}}, Patterns: []string{`^(?P<batch>[a-z0-9]+)_t(?P<tier>\d+)_`}, Namespace: "team",
	}
	if err := rules.Compile(); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 129)
	for _, c := range []struct {
		submission, name string
		metadata         map[string]string
		want             Place
		why              string
	}{
		{"j", "", map[string]string{"headway.batch_id": "b", "headway.tier": "3", "headway.namespace": "n", "headway.attempt": "2"}, Place{Namespace: "n", Batch: "b", Tier: 3, Attempt: 2}, ""},
		{"j", "", map[string]string{"run_id": "r", "headway.batch_id": "b", "headway.tier": "0"}, Place{Namespace: "team", Batch: "r"}, ""},
		{"abc_t2_x", "", nil, Place{Namespace: "team", Batch: "abc", Tier: 2}, ""},
		{"j", "abc_t9_x", nil, Place{Namespace: "team", Batch: "abc", Tier: 9}, ""},
		{"j", "", nil, Place{}, "no batch"},
		{"j", "", map[string]string{"headway.batch_id": "a.b", "headway.tier": "0"}, Place{Namespace: "team", Batch: "a.b"}, ""},
		{"j", "", map[string]string{"headway.batch_id": "a\nb"}, Place{}, `headway.batch_id is "a\nb"`},
		{"j", "", map[string]string{"headway.batch_id": long}, Place{}, "not an id"},
		{"j", "", map[string]string{"headway.batch_id": "b", "headway.tier": "first"}, Place{}, "headway.tier"},
		{"j", "", map[string]string{"headway.batch_id": "b", "headway.tier": "10000"}, Place{}, "headway.tier"},
		{"j", "", map[string]string{"headway.batch_id": "b", "headway.tier": "0", "headway.attempt": "0"}, Place{}, "headway.attempt"},
		{"j", "", map[string]string{"headway.batch_id": "b", "headway.tier": "0", "headway.namespace": "*"}, Place{}, "headway.namespace"},
		{"a\x00job", "", map[string]string{"headway.batch_id": "b", "headway.tier": "0"}, Place{}, "submission id"},
	} {
		p, why := rules.Map(c.submission, c.name, c.metadata)
		if c.why == "" && (why != "" || p != c.want) || c.why != "" && !strings.Contains(why, c.why) {
			t.Errorf("%s %s %v: %+v, %q; want %+v, %q", c.submission, c.name, c.metadata, p, why, c.want, c.why)
		}
	}
	for _, bad := range []Rules{{Patterns: []string{"("}}, {Patterns: []string{"a"}}, {Patterns: []string{"(?P<x>a)"}}, {Namespace: "a b"}, {Keys: map[string][]string{"x": {"y"}}}} {
		if bad.Compile() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, secret := range map[string]string{
		"redis://user:hunter22@host/0":                 "hunter22",
		"Authorization: Bearer abcdefgh12345":          "abcdefgh12345",
		`env {"AWS_SECRET_ACCESS_KEY": "wJalrXUt/nF"}`: "wJalrXUt",
		"key AKIAIOSFODNN7EXAMPLE":                     "AKIAIOSFODNN7EXAMPLE",
		"HF_TOKEN=hf_abcdefghijklmnopqrst":             "hf_abcdefghij",
		"password=hunter2-and-more":                    "hunter2",
	} {
		if got := Redact(in); strings.Contains(got, secret) || !strings.Contains(got, "[redacted]") {
			t.Errorf("%q becomes %q", in, got)
		}
	}
	if in := "ValueError: tokens per second: 12"; Redact(in) != in && !strings.Contains(Redact(in), "ValueError") {
		t.Errorf("%q becomes %q", in, Redact(in))
	}
	long := "head " + strings.Repeat("é", 20_000) + " tail"
	if got := tidy(long); len([]rune(got)) > messageHead+messageTail+3 || !strings.HasPrefix(got, "head") || !strings.HasSuffix(got, "tail") {
		t.Errorf("cut to %d", len(got))
	}
}

func TestTierByName(t *testing.T) {
	for name, want := range map[string]int{"tier0_extract_abc_0": 0, "my-tier-12": 12, "Tier_3": 3, "frontier9": -1, "tier": -1, "x": -1} {
		n, ok := tierByName(name)
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("%s: %d %v", name, n, ok)
		}
	}
	e := &entry{}
	e.learn([]rayapi.Dataset{{Name: "tier2_b"}, {Name: "tier1_a"}})
	if *e.learned != 1 {
		t.Errorf("a job that names no tier has tier %d", *e.learned)
	}
}
