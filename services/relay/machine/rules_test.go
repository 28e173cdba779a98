package machine

import (
	"encoding/json"
	"os"
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

// TestRedact reads the cases that the tests of the Python client read, too.
func TestRedact(t *testing.T) {
	data, err := os.ReadFile("testdata/redaction.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct{ What, Text, Becomes string }
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		if got := Redact(c.Text); got != c.Becomes {
			t.Errorf("%s: %q becomes %q, not %q", c.What, c.Text, got, c.Becomes)
		}
		if again := Redact(c.Becomes); again != c.Becomes {
			t.Errorf("%s: what is redacted, %q, becomes %q", c.What, c.Becomes, again)
		}
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
