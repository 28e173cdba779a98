package diagnostics

import (
	"bytes"
	"encoding/json"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/answer"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"

	goflag "flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The corpus: whole stories, read testdata/stories/README.md. Each is folded forwards, backwards and with
// every event twice, and each question's answer is checked in the story's own words and kept as a golden file.

var update = goflag.Bool("update", false, "write the golden files anew")

type tale struct {
	policy Policy
	events []Event
	asks   []ask
}

type ask struct {
	line    int
	at      time.Time
	text    string
	health  Health
	signal  string
	expects []string
}

func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.story")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d stories (%v)", len(files), err)
	}
	covered := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".story")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := parseTale(t, string(text))
			golden(t, strings.TrimSuffix(file, ".story")+".golden.json", s.play(t, covered))
		})
	}
	for _, what := range coverage() {
		if !covered[what] {
			t.Errorf("no story covers %s", what)
		}
	}
}

// coverage is what the stories together have to show.
func coverage() []string {
	want := []string{
		"health ok", "health scaling", "health stuck", "health degraded",
		"signal progress", "signal no_progress", "signal job_warming_up", "signal cluster_cold_start", "signal awaiting_job",
		"signal ray_job_pending", "signal no_ray_job", "signal not_finalized", "signal ray_job_unschedulable",
		"category infrastructure", "category timeout", "category orphaned", "category pipeline", "category none",
		"action open", "action logs", "action stop", "action retry", "action resubmit", "action resize",
		"eta none", "eta low", "eta medium", "eta high",
		"status UNKNOWN", "status DRAFT", "status PENDING", "status PROCESSING", "status COMPLETED",
		"status COMPLETED_WITH_ERRORS", "status FAILED", "status CANCELED", "status SKIPPED",
	}
	for _, name := range answer.RuleNames() {
		want = append(want, "insight +"+name, "insight -"+name)
	}
	return want
}

type asked struct {
	Ask     string      `json:"ask"`
	Answer  Snapshot    `json:"answer"`
	Explain Explanation `json:"explain"`
}

func (s *tale) play(t *testing.T, covered map[string]bool) []asked {
	t.Helper()
	var out []asked
	for _, q := range s.asks {
		v := s.viewAt(t, q.at)
		m := Meta{RevisionID: fmt.Sprintf("id_1-%d-%d", FoldVersion, v.Revision)}
		a := asked{q.text, Render(v, q.at, s.policy, m), Explain(v, q.at, s.policy, m)}
		q.check(t, s, v, &a, covered)
		checkContract(t, a.Answer.AppendJSON(nil))
		checkRun(t, v, q.at, s.policy, &a.Answer)
		checkEncoding(t, &a.Answer, &a.Explain)
		out = append(out, a)
	}
	return out
}

// viewAt folds what had been said by then, in three ways that must not differ.
func (s *tale) viewAt(t *testing.T, at time.Time) *View {
	t.Helper()
	v, back, twice := NewView("search", "btch_1"), NewView("search", "btch_1"), NewView("search", "btch_1")
	var said []Event
	for i, e := range s.events {
		if e.Time > at.UnixNano() {
			continue
		}
		said = append(said, e)
		if Fold(v, &s.events[i]) == Applied {
			v.Revision = uint64(len(said))
		}
	}
	for i := range said {
		Fold(back, &said[len(said)-1-i])
		Fold(twice, &said[(i*7)%len(said)])
		Fold(twice, &said[i])
	}
	if a, b, c := v.AppendState(nil), back.AppendState(nil), twice.AppendState(nil); !bytes.Equal(a, b) || !bytes.Equal(a, c) {
		t.Fatal("another order gives another state")
	}
	return v
}

func (q *ask) check(t *testing.T, s *tale, v *View, a *asked, covered map[string]bool) {
	t.Helper()
	fail := func(what string, got, want any) { t.Errorf("line %d: %s = %v, want %v", q.line, what, got, want) }
	signal := a.Answer.HealthEvidence.Signal
	if a.Answer.Health != q.health || signal != q.signal {
		fail("health", fmt.Sprint(a.Answer.Health, " ", signal), fmt.Sprint(q.health, " ", q.signal))
	}
	if a.Explain.Health != a.Answer.Health || !judge.Equal(a.Explain.BlockedReason, a.Answer.BlockedReason) {
		fail("the explained verdict", a.Explain.Health, a.Answer.Health)
	}
	if !reflect.DeepEqual(a.Explain.Cause, a.Answer.Cause) || !reflect.DeepEqual(a.Explain.Doubts, a.Answer.Doubts) {
		fail("the explained cause and doubts", a.Explain.Cause, a.Answer.Cause)
	}
	q.checkChange(v, s.policy, a, fail)
	covered["health "+a.Answer.Health.String()], covered["signal "+signal], covered["status "+a.Answer.Status] = true, true, true
	rules := map[string]bool{}
	for _, name := range answer.RulesThatSpeak(judge.Derive(v), q.at, s.policy) {
		rules[name] = true
	}
	eta, category, kinds := "none", "none", []string{}
	if e := a.Answer.ETA; e != nil {
		eta = e.Confidence
		if e.P50.Before(q.at) || e.P90.Before(e.P50) {
			fail("eta", fmt.Sprint(e.P50, " to ", e.P90), "after the present, p50 before p90")
		}
	}
	if c := a.Answer.FailureCategory; c != nil {
		category = *c
	}
	for _, action := range a.Answer.Actions {
		kinds = append(kinds, action.Kind)
		covered["action "+action.Kind] = true
	}
	for _, want := range q.expects {
		key, value, _ := strings.Cut(want, "=")
		got := ""
		switch {
		case want[0] == '+' || want[0] == '-':
			if rules[want[1:]] != (want[0] == '+') {
				fail("insights", slices.Sorted(maps.Keys(rules)), want)
			}
			covered["insight "+want] = true
			continue
		case key == "eta":
			got = eta
			covered["eta "+eta] = true
		case key == "category":
			got = category
			covered["category "+category] = true
		case key == "status":
			got = a.Answer.Status
		case key == "actions":
			got = strings.Join(kinds, ",")
		case key == "progress":
			got = strconv.FormatFloat(a.Answer.OverallProgress, 'f', -1, 64)
		case key == "tier":
			got = strconv.Itoa(a.Answer.CurrentTier)
		default:
			t.Fatalf("line %d: what is %s?", q.line, want)
		}
		if got != value {
			fail(key, got, value)
		}
	}
	if p := a.Answer.PerformanceSummary; p != nil {
		if sum := p.QueueSeconds + p.ColdStartSeconds + p.ProcessingSeconds + p.HandOverSeconds + p.IdleSeconds; sum-p.TotalTimeSeconds > 1e-6 || p.TotalTimeSeconds-sum > 1e-6 {
			fail("the sum of the parts", sum, p.TotalTimeSeconds)
		}
	}
}

// checkChange holds what an explanation says of the future against the answers then: one nanosecond before and exactly.
func (q *ask) checkChange(v *View, p Policy, a *asked, fail func(string, any, any)) {
	next := a.Explain.NextCheck
	if next == nil || next.Because == "" || strings.HasPrefix(next.Because, "nobody ever said") {
		return
	}
	before, then := Assess(v, next.At.Add(-time.Nanosecond), p), Assess(v, next.At, p)
	if now := Assess(v, q.at, p); !now.Same(before) {
		fail("the verdict one nanosecond before it changes", before.BlockedReason, now.BlockedReason)
	}
	cause := ""
	if next.Cause != nil {
		cause = *next.Cause
	}
	if then.Health != next.Health || then.Code() != cause {
		fail("the verdict when it changes", fmt.Sprint(then.Health, " ", then.Code()), fmt.Sprint(next.Health, " ", cause))
	}
}

func golden(t *testing.T, file string, answers []asked) {
	t.Helper()
	got, err := json.MarshalIndent(answers, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Fatalf("%s:%d:\n got %s\nwant %s\n(go test -run Corpus -update writes it anew)", file, i+1, g[i], w[i])
			}
		}
		t.Fatalf("%s: %d lines, want %d", file, len(g), len(w))
	}
}

var (
	day     = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	slide   = regexp.MustCompile(`(-?\d+)\.\.(-?\d+)`)
	moments = regexp.MustCompile(`"@[0-9:.]+"`)
	types   = map[string]string{"batch": "batch", "tier": "tier", "job": "job", "collection": "collection", "stage": "stage", "health": "batch.health.changed", "proof": "job.proof"}
)

func parseTale(t *testing.T, text string) *tale {
	t.Helper()
	s := &tale{policy: DefaultPolicy()}
	for i, line := range strings.Split(text, "\n") {
		head, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		switch {
		case head == "" || head == "#":
		case head == "policy":
			if err := s.setPolicy(rest); err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
		case head == "?":
			s.asks = append(s.asks, parseAsk(t, i+1, rest))
		default:
			s.say(t, i+1, head, rest)
		}
	}
	if len(s.asks) == 0 {
		t.Fatal("nothing is asked")
	}
	return s
}

func (s *tale) setPolicy(text string) error {
	var p struct {
		Timeout, DashboardURL string
		Actions               []ActionTemplate
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	if p.Timeout != "" {
		d, err := time.ParseDuration(p.Timeout)
		if err != nil {
			return err
		}
		s.policy.Timeout = d
	}
	for _, a := range p.Actions {
		if err := a.Validate(); err != nil {
			return err
		}
	}
	s.policy.DashboardURL, s.policy.Actions = p.DashboardURL, p.Actions
	return nil
}

func parseAsk(t *testing.T, line int, text string) ask {
	t.Helper()
	f := strings.Fields(text)
	if len(f) < 3 {
		t.Fatalf("line %d: want a time, a health and a signal", line)
	}
	h, ok := ParseHealth(f[1])
	if !ok {
		t.Fatalf("line %d: no health %s", line, f[1])
	}
	return ask{line: line, at: hour(t, f[0]), text: text, health: h, signal: f[2], expects: f[3:]}
}

func hour(t *testing.T, text string) time.Time {
	t.Helper()
	at := day
	for i, part := range strings.Split(text, ":") {
		whole, frac, _ := strings.Cut(part, ".")
		w, err := strconv.Atoi(whole)
		if err != nil || i > 2 {
			t.Fatalf("%q is no time", text)
		}
		at = at.Add(time.Duration(w) * []time.Duration{time.Hour, time.Minute, time.Second}[i])
		if frac != "" {
			ns, _ := strconv.Atoi((frac + "000000000")[:9])
			at = at.Add(time.Duration(ns))
		}
	}
	return at
}

// say takes in an event, or a row of them: "12:00..12:10/30s", whose numbers "0..500" then go with the time.
func (s *tale) say(t *testing.T, line int, when, rest string) {
	t.Helper()
	span, every, repeated := strings.Cut(when, "/")
	if !repeated {
		s.event(t, line, hour(t, when), rest)
		return
	}
	from, to, _ := strings.Cut(span, "..")
	step, err := time.ParseDuration(every)
	if err != nil || step <= 0 {
		t.Fatalf("line %d: %v", line, err)
	}
	first, last := hour(t, from), hour(t, to)
	for at := first; !at.After(last); at = at.Add(step) {
		part := 1.0
		if last.After(first) {
			part = at.Sub(first).Seconds() / last.Sub(first).Seconds()
		}
		s.event(t, line, at, slide.ReplaceAllStringFunc(rest, func(m string) string {
			ends := slide.FindStringSubmatch(m)
			a, _ := strconv.Atoi(ends[1])
			b, _ := strconv.Atoi(ends[2])
			return strconv.Itoa(a + int(float64(b-a)*part))
		}))
	}
}

func (s *tale) event(t *testing.T, line int, at time.Time, text string) {
	t.Helper()
	kind, data, _ := strings.Cut(text, " ")
	word, id, _ := strings.Cut(kind, ".")
	data = moments.ReplaceAllStringFunc(data, func(m string) string {
		return strconv.Quote(hour(t, m[2:len(m)-1]).Format(time.RFC3339Nano))
	})
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte("{"+data+"}"), &fields); err != nil {
		t.Fatalf("line %d: %v in {%s}", line, err, data)
	}
	number, _, _ := strings.Cut(id, ".")
	switch word {
	case "tier", "stage":
		fields["tier_num"] = json.RawMessage(number)
	case "job", "proof":
		fields["submission_id"] = json.RawMessage(strconv.Quote(id))
	case "collection":
		fields["collection_id"] = json.RawMessage(strconv.Quote(id))
	}
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": fmt.Sprintf("evt-%d", len(s.events)+1), "source": "story/" + word,
		"type": "dev.headway." + types[word] + ".v1", "time": at.Format(time.RFC3339Nano), "data": fields,
	})
	if err != nil {
		t.Fatal(err)
	}
	var dec Decoder
	e, refused := dec.Decode(Message{Subject: "headway.events.search.btch_1." + kind, Data: body, Stored: at})
	if refused != nil {
		t.Fatalf("line %d: %v", line, refused)
	}
	s.events = append(s.events, *e)
}

// The answers' own encoder writes what encoding/json does.
func checkEncoding(t *testing.T, s *Snapshot, e *Explanation) {
	t.Helper()
	for _, c := range []struct {
		value any
		got   []byte
	}{{s, s.AppendJSON(nil)}, {e, e.AppendJSON([]byte("before"))[len("before"):]}} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(c.value); err != nil {
			t.Fatal(err)
		}
		if wanted := bytes.TrimSpace(want.Bytes()); !bytes.Equal(c.got, wanted) {
			t.Fatalf("encoded as\n%s\nwant\n%s", c.got, wanted)
		}
	}
}
