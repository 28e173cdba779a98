package detector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// hugeText generates texts of up to n characters, preferably those that take many bytes when encoded.
func hugeText(t *rapid.T, n int, label string) string {
	unit := rapid.SampledFrom([]string{"a", `"`, "<", "\x01", "\n", "é", "€", "\u2028", "😀", "\xff", `\`}).Draw(t, label+" of")
	return strings.Repeat(unit, rapid.IntRange(1, n).Draw(t, label+" length")) + rapid.StringN(0, 20, 80).Draw(t, label+" end")
}

// hugeJSON generates an object of up to a few hundred KiB, or a deeply nested one.
func hugeJSON(t *rapid.T, label string) string {
	if rapid.Bool().Draw(t, label+" deep") {
		n := rapid.IntRange(1, 28).Draw(t, label+" depth")
		return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
	}
	value, err := json.Marshal(strings.ToValidUTF8(hugeText(t, 20_000, label), "?"))
	if err != nil {
		t.Fatal(err)
	}
	n := rapid.IntRange(1, 6).Draw(t, label+" members")
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d":%s`, i, value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// enlarge fills the texts of an event up to the limits of events, and beyond.
func enlarge(t *rapid.T, e *diagnostics.Event) {
	e.ID = hugeText(t, 600, "id")
	switch e.Type {
	case diagnostics.TypeJob:
		e.JobFacts.SubmissionID = strings.Repeat(e.JobFacts.SubmissionID[:1], rapid.IntRange(1, 128).Draw(t, "submission"))
		if e.JobFacts.Waiting.Set && e.JobFacts.Waiting.V.Kind != "" {
			w := &e.JobFacts.Waiting.V
			w.DemandJSON, w.OfferedJSON = hugeJSON(t, "demand"), hugeJSON(t, "offered")
			w.Detail = diagnostics.Opt[string]{V: hugeText(t, 5000, "detail"), Set: true}
		}
	case diagnostics.TypeBatch:
		e.BatchFacts.Error = diagnostics.Opt[string]{V: hugeText(t, 5000, "error"), Set: true}
	}
}

// Whatever events contain, an announcement has at most 32 KiB, contains the change, and is accepted by the fold.
func TestLawAnnouncementIsBounded(t *testing.T) {
	base := "https://" + strings.Repeat("h", maxBaseURL-8)
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		v := diagnostics.NewView("n", "b")
		for _, e := range headwaytest.Events().Draw(t, "events") {
			if e.Type != diagnostics.TypeHealth {
				enlarge(t, &e)
			}
			diagnostics.Fold(v, &e)
		}
		asOf := headwaytest.Epoch().Add(time.Duration(rapid.IntRange(0, 150).Draw(t, "as of")) * time.Minute)
		a := &diagnostics.Announcement{To: diagnostics.HealthStuck, Verdict: diagnostics.Assess(v, asOf, diagnostics.DefaultPolicy())}
		if p, due := diagnostics.Due(v, asOf, diagnostics.DefaultPolicy()); due && p.Announcement != nil {
			a = p.Announcement
			made++
		}
		event, err := announcementEvent(base, "id-1-1", diagnostics.DefaultPolicy().Hash(), v, asOf, a)
		if err != nil {
			t.Fatal(err)
		}
		checkAnnouncement(t, event, a.To, asOf)
	})
	if made == 0 {
		t.Error("no view was due an announcement")
	}
}

func checkAnnouncement(t interface{ Fatalf(string, ...any) }, event []byte, to diagnostics.Health, stored time.Time) {
	if len(event) > maxEvent {
		t.Fatalf("%d bytes", len(event))
	}
	if !utf8.Valid(event) {
		t.Fatalf("invalid UTF-8")
	}
	var d diagnostics.Decoder
	e, no := d.Decode(diagnostics.Message{Subject: "headway.log.0.n.b.health", Data: event, Stored: stored})
	if no != nil {
		t.Fatalf("%s: %s", no.Field, no.Reason)
	}
	if got := e.HealthFacts.PolicyHash; got != diagnostics.DefaultPolicy().Hash() {
		t.Fatalf("it was judged by the thresholds %q", got)
	}
	if e.HealthFacts.To != to {
		t.Fatalf("it says %v, want %v", e.HealthFacts.To, to)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	if err == nil {
		err = describedAnnouncement().Validate(v)
	}
	if err != nil {
		t.Fatalf("not as asyncapi.json describes it: %v", err)
	}
}

// describedAnnouncement is the schema of announcements in asyncapi.json. Consumers have to ignore other fields, but this version sends none.
var describedAnnouncement = sync.OnceValue(func() *jsonschema.Schema {
	text, err := os.ReadFile("../api/asyncapi.json")
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	schemas := doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	for _, name := range []string{"CloudEvent", "Health"} {
		schemas[name].(map[string]any)["additionalProperties"] = false
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("asyncapi.json", doc); err != nil {
		panic(err)
	}
	return c.MustCompile("asyncapi.json#/components/schemas/HealthEvent")
})

// The limits fit together for the largest possible evidence, made of the characters that take most bytes.
func TestFullEvidence(t *testing.T) {
	text := strings.Repeat("\x01", 100_000)
	number, tier, flag := int64(1<<53), 9999, true
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	limit := 1e308
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = text
	}
	long := strings.Repeat("b", 128)
	v := diagnostics.NewView(long, long)
	full := json.RawMessage(`"` + strings.Repeat("a", maxJSON-2) + `"`)
	a := &diagnostics.Announcement{Ordinal: 1 << 53, From: diagnostics.HealthDegraded, To: diagnostics.HealthStuck, Verdict: diagnostics.Verdict{
		BlockedReason: text, StuckSeconds: 1e308, Evidence: diagnostics.Evidence{
			Signal: text, Since: &at, ThresholdSeconds: &limit, TierNum: &tier, RayJobID: &text, EventIDs: ids, LastHeard: &at,
			WaitingOn: &diagnostics.WaitingOn{
				Kind: text, Since: at, Demand: full, Offered: full, NodesPending: &number, Infeasible: &flag, Detail: &text,
			},
		},
	}}
	event, err := announcementEvent(strings.Repeat("h", maxBaseURL), strings.Repeat("r", 64), diagnostics.DefaultPolicy().Hash(), v, at, a)
	if err != nil || len(event) > maxEvent || len(event) < maxEvent/2 {
		t.Errorf("%d bytes, %v", len(event), err)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 5, ""}, {"abcde", 5, "abcde"}, {"abcdef", 5, "ab…"}, {"éééé", 8, "éééé"}, {"ééééé", 8, "éé…"},
		{"\x01\x01", 12, "\x01\x01"}, {"\x01\x01", 11, "\x01…"}, {`""""`, 7, `""…`}, {"😀😀", 7, "😀…"},
	} {
		if got := cut(c.in, c.limit); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func TestCutJSON(t *testing.T) {
	big := `{"a":"` + strings.Repeat("x", 600<<10) + `"}`
	deep := strings.Repeat("[", 9) + strings.Repeat("]", 9)
	for in, want := range map[string]string{
		`{"GPU":1}`:                  `{"GPU":1}`,
		big:                          fmt.Sprintf(`{"bytes":%d,"truncated":true}`, len(big)),
		deep:                         `{"bytes":18,"truncated":true}`,
		`{"a":"[[[[[[[[[[[[\"[[[["}`: `{"a":"[[[[[[[[[[[[\"[[[["}`,
	} {
		if got := string(cutJSON(json.RawMessage(in))); got != want {
			t.Errorf("%.40s became %.80s", in, got)
		}
	}
}

func TestParseAPIURL(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "https://headway.example.com": "https://headway.example.com", "http://h:8080/base/": "http://h:8080/base",
	} {
		if got, err := ParseAPIURL(in); err != nil || got != want {
			t.Errorf("%q became %q (%v)", in, got, err)
		}
	}
	for _, in := range []string{"h", "ftp://h", "https://", "https://me:secret@h", "https://h?x=1", "https://h#x", "https://" + strings.Repeat("h", 2000), "http://h\x7f:secret"} {
		if got, err := ParseAPIURL(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q became %q (%v)", in, got, err)
		}
	}
}
