package diagnostics

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
)

// nasty is what a text may hide or rearrange its surroundings with.
const nasty = "\x1b[31m\u202e\u2066\u200b\ufeff\u2028\x00\x07\u009b31m"

// Whatever producers write, people see no control characters, and none that are invisible or change the direction of writing: in no
// field of a snapshot, an explanation or a row.
func TestNobodyIsShownControls(t *testing.T) {
	text := func(s string) string { b, _ := json.Marshal(s + nasty + "end"); return string(b) }
	name := strings.ReplaceAll(text("name"), `\u0000`, "") // names may have no NUL
	v := NewView("n", "b")
	var d Decoder
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, e := range []struct{ kind, subject, data string }{
		{"batch", "batch", `{"status":"PROCESSING","name":` + name + `,"pipeline":` + name + `,"owner":` + name + `,"labels":{` + name + `:` + text("v") + `},"total_tiers":2,"error":` + text("e") + `,"error_type":` + name + `}`},
		{"tier", "tier.0", `{"tier_num":0,"status":"FAILED","error":` + text("e") + `,"error_type":` + name + `,"errors":[{"error_type":` + name + `,"message":` + text("m") + `,"component":` + name + `,"count":3}]}`},
		{"job", "job.j", `{"tier_num":0,"submission_id":"j","status":"FAILED","message":` + text("m") + `,"error_type":` + name + `,"cluster":` + name + `,"session":` + name + `,"dashboard_url":"https://ray.example/` + `\u202e"}`},
		{"job", "job.k", `{"tier_num":1,"submission_id":"k","status":"PENDING","resources":{"num_gpus":1,` + name + `:2},"submission_params":{` + name + `:` + text("p") + `},"waiting_on":{"kind":"resources","since":"2026-03-01T11:00:00Z","reason":` + text("r") + `,"demand":{` + name + `:1}},"dashboard_url":"https://ray.example/k"}`},
		{"collection", "collection.c", `{"collection_id":"c","collection_name":` + name + `,"status":"PROCESSING"}`},
		{"stage", "stage.0." + "parse", `{"tier_num":0,"stage":"parse","component":` + name + `,"documents":5,"seconds":1}`},
		{"job.proof", "job.j.proof", `{"submission_id":"j","tier_num":0,"kind":"log","process":"driver","taken_at":"2026-03-01T11:59:00Z","text":` + text("l") + `,"name":` + name + `}`},
	} {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"s","type":"dev.headway.%s.v1","subject":"b","time":"2026-03-01T11:59:00Z","data":%s}`, i, e.kind, e.data)
		event, rejection := d.Decode(Message{Namespace: "n", Data: []byte(body), Stored: at})
		if rejection != nil {
			t.Logf("%s: %v", e.kind, rejection) // a name that may have none of this
			continue
		}
		Fold(v, event)
	}
	derived := Derive(v)
	p := DefaultPolicy()
	snapshot := derived.Render(at, p, Meta{})
	explanation := derived.Explain(at, p, Meta{})
	row := derived.Row(at, p)
	for what, body := range map[string][]byte{
		"snapshot": snapshot.AppendJSON(nil), "parts": snapshot.Encode().JSON(), "explanation": explanation.AppendJSON(nil), "row": row.AppendJSON(nil),
	} {
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			t.Fatalf("%s: %v: %s", what, err, body)
		}
		shown(t, what, value)
	}
	body := string(snapshot.AppendJSON(nil))
	for _, want := range []string{`"nameend"`, `"vend"`, `mend`, `"https://ray.example/k"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s isn't shown: %s", want, body)
		}
	}
	if strings.Contains(body, "https://ray.example/\u202e") {
		t.Error("a link that rearranges its text is offered")
	}
}

func shown(t *testing.T, where string, value any) {
	t.Helper()
	switch v := value.(type) {
	case string:
		for _, c := range v {
			if c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp)) {
				t.Errorf("%s shows %q", where, v)
				return
			}
		}
	case []any:
		for i, x := range v {
			shown(t, fmt.Sprintf("%s[%d]", where, i), x)
		}
	case map[string]any:
		for k, x := range v {
			shown(t, where+" (a key)", k)
			shown(t, where+"."+k, x)
		}
	}
}

// Links lead only to web pages, to no host that is written to look like another, and to a host of the list where there is one.
func TestLinksLeadToKnownHosts(t *testing.T) {
	for link, hosts := range map[string]string{
		"https://ray.example/x": "ray.example", "https://RAY.example:8265/x": "ray.example", "http://ray.example:8265/x": "ray.example:8265",
		"!http://ray.example:1/x": "ray.example:8265", "!https://evil.example/ray.example": "ray.example", "!https://ray.example@evil.example/": "ray.example",
		"!https://ray.example@evil.example/ ": "", "!javascript:alert(1)": "", "!https:///x": "", "!https://ray.example\\@evil.example/": "ray.example",
		"https://any.example/": "", "!https://ray.example.evil.example/": "ray.example",
	} {
		want := !strings.HasPrefix(link, "!")
		link = strings.TrimPrefix(link, "!")
		s := tell(t).job(0, "j", 0, WordRunning, func(f *JobFacts) { f.DashboardURL = some(link) })
		var m Meta
		if hosts != "" {
			m.LinkHosts = []string{"other.example", hosts}
		}
		got := Render(s.view(), moment(minute(1)), s.policy, m)
		offered := len(got.Tiers) > 0 && len(got.Tiers[0].Jobs) > 0 && got.Tiers[0].Jobs[0].DashboardURL != nil
		if offered != want {
			t.Errorf("%q with the hosts %q: offered %v", link, hosts, offered)
		}
	}
}
