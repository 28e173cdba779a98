package lint

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/answer"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Answer finds what contradicts itself in an answer. said is what its events say, in any writing: words such as GPU stand in a
// sentence only if a source used them.
func Answer(a *answer.Snapshot, said string) []string {
	l := &linter{a: a}
	l.texts(said)
	l.causes()
	l.health()
	l.advice()
	l.estimate()
	l.tiers()
	l.times()
	l.numbers()
	return l.out
}

// Explanation finds where an explanation says otherwise than the answer.
func Explanation(a *answer.Snapshot, x *answer.Explanation) []string {
	l := &linter{a: a}
	if x.Health != a.Health || x.Status != a.Status || text(x.BlockedReason) != text(a.BlockedReason) {
		l.badf("it is explained as %s %v, %s", x.Status, x.Health, text(x.BlockedReason))
	}
	if (x.Cause == nil) != (a.Cause == nil) || x.Cause != nil && x.Cause.Sentence != a.Cause.Sentence {
		l.badf("another cause is explained: %+v, not %+v", x.Cause, a.Cause)
	}
	if len(x.Steps) == 0 || len(x.Steps) > 200 {
		l.badf("%d steps", len(x.Steps))
	}
	for _, s := range x.Steps {
		l.text(s.Says)
	}
	if c := x.NextCheck; c != nil {
		l.text(c.Because)
		if !c.At.After(a.View.AsOf) {
			l.badf("the next check at %v isn't after %v", c.At, a.View.AsOf)
		}
	}
	return l.out
}

type linter struct {
	a    *answer.Snapshot
	seen map[string]bool // texts that were checked
	out  []string
}

func (l *linter) badf(format string, args ...any) {
	l.out = append(l.out, fmt.Sprintf(format, args...))
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// What no text may hold.
var badTexts = map[string]*regexp.Regexp{
	"raw JSON":                    regexp.MustCompile(`\{"|\[\{|\{'|"\}`),
	"null":                        regexp.MustCompile(`\b(null|<nil>|NaN)\b`),
	"a control character":         regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f\x{202a}-\x{202e}\x{2066}-\x{2069}]`),
	"a parameter":                 regexp.MustCompile(`\{[a-z_]+\}|%!`),
	"a negative duration":         regexp.MustCompile(`(^|[ (])-\d+(\.\d+)? ?(s|min|h)\b`),
	"a running duration":          regexp.MustCompile(`\b\d+ (s|min|h|days?) ago\b|\bfor \d+ (s|min|h)\b`),
	"a tier counted from nowhere": regexp.MustCompile(`\b[Tt]ier \d+( [^o]|[^ \d]|$)`),
	"two spaces":                  regexp.MustCompile(`\S  \S`),
	"a doubled mark":              regexp.MustCompile(`[.;:,][.;:,]|\(\)|: \.| ,`),
}

// anyBad is one pass over a text that most pass.
var anyBad = func() *regexp.Regexp {
	all := make([]string, 0, len(badTexts))
	for _, r := range badTexts {
		all = append(all, r.String())
	}
	return regexp.MustCompile(strings.Join(all, "|"))
}()

var (
	tierOf  = regexp.MustCompile(`\b[Tt]ier (\d+) of (\d+)\b`)
	promise = regexp.MustCompile(`(?:until|stuck at|ends by) (\d\d:\d\d:\d\dZ on \d{4,}-\d\d-\d\d)`)
	sources = map[string]*regexp.Regexp{
		"GPU": regexp.MustCompile(`(?i)gpu`), "Ray": regexp.MustCompile(`submission_id|job\.`), "quota": regexp.MustCompile(`(?i)quota`),
	}
)

func (l *linter) texts(said string) {
	all := slices.Clone(l.a.NextActions)
	all = append(all, text(l.a.BlockedReason))
	for _, i := range l.a.Insights {
		all = append(all, i.Message, text(i.Recommendation))
	}
	for _, c := range l.all() {
		all = append(all, c.Sentence)
	}
	for _, m := range l.a.Messages {
		all = append(all, m.Text)
		if m.Code == "" || m.Text == "" || m.Params == nil {
			l.badf("a message that isn't whole: %+v", m)
		}
	}
	slices.Sort(all)
	for _, one := range slices.Compact(all) {
		l.text(one)
		for word, source := range sources {
			if strings.Contains(one, word) && !source.MatchString(said) {
				l.badf("%s has no source: %q", word, one)
			}
		}
	}
}

// text checks one sentence.
func (l *linter) text(s string) {
	if l.seen[s] {
		return
	}
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	l.seen[s] = true
	if anyBad.MatchString(s) {
		for what, r := range badTexts {
			if r.MatchString(s) {
				l.badf("%s in %q", what, s)
			}
		}
	}
	for _, m := range tierOf.FindAllStringSubmatch(s, -1) {
		n, _ := strconv.Atoi(m[1]) // what is no number is no tier either
		of, _ := strconv.Atoi(m[2])
		if n < 1 || n > of || of != l.a.TotalTiers {
			l.badf("%s of %d tiers in %q", m[0], l.a.TotalTiers, s)
		}
	}
	for _, m := range promise.FindAllStringSubmatch(s, -1) {
		if at, err := time.Parse("15:04:05Z on 2006-01-02", m[1]); err != nil || at.Before(l.a.View.AsOf.Truncate(time.Second)) {
			l.badf("what is to come lies in the past in %q", s)
		}
	}
}

// all are the causes and doubts of the answer.
func (l *linter) all() []cause.Cause {
	out := slices.Clone(l.a.Doubts)
	put := func(c *cause.Cause) {
		if c != nil {
			out = append(out, *c)
		}
	}
	put(l.a.Cause)
	for _, t := range l.a.Tiers {
		put(t.Cause)
		for _, j := range t.Jobs {
			put(j.Cause)
		}
	}
	return out
}

func inTable(c cause.Code) bool {
	_, ok := cause.RowOf(c)
	return ok
}

func (l *linter) causes() {
	for _, c := range l.all() {
		doubt := strings.HasPrefix(string(c.Code), "REPORTING:")
		switch {
		case !inTable(c.Code):
			l.badf("%s is in no table", c.Code)
		case c.Since == nil || len(c.Evidence) == 0 && !doubt:
			l.badf("%s has no since or no evidence", c.Code)
		case !slices.Contains([]string{"known", "inferred", "unknown"}, c.Certainty) || c.WhoActs == nil || c.WaitingHelps == nil:
			l.badf("%s isn't whole: %+v", c.Code, c)
		case c.Code == "UNKNOWN" && c.Certainty != "unknown":
			l.badf("%s is %s", c.Code, c.Certainty)
		}
	}
	for _, d := range l.a.Doubts {
		if !strings.HasPrefix(string(d.Code), "REPORTING:") {
			l.badf("%s is no doubt", d.Code)
		}
	}
	if c := l.a.Cause; c != nil && strings.HasPrefix(string(c.Code), "REPORTING:") && c.Code != "REPORTING:REFUSED" {
		l.badf("%s is no cause", c.Code)
	}
}

func (l *linter) health() {
	a := l.a
	stuck, scaling := a.Health == event.HealthStuck, a.Health == event.HealthScaling
	if a.Health != event.HealthOK && a.Cause == nil {
		l.badf("%v without a cause", a.Health)
	}
	if (a.BlockedReason != nil) != (stuck || scaling) {
		l.badf("%v with blocked reason %q", a.Health, text(a.BlockedReason))
	}
	if (a.StuckSeconds != nil) != stuck {
		l.badf("%v with stuck_seconds %v", a.Health, a.StuckSeconds)
	}
	if (stuck && a.Status != "PROCESSING" && a.Status != "PENDING") || scaling && a.Status != "PROCESSING" {
		l.badf("%s, and %v", a.Status, a.Health)
	}
	if a.HasFailures && a.Health != event.HealthStuck && a.Health != event.HealthDegraded {
		l.badf("failures, and %v", a.Health)
	}
	failed := 0
	for _, t := range a.Tiers {
		if t.Status == "FAILED" {
			failed++
		}
	}
	if a.Page == nil && failed != a.FailedTierCount {
		l.badf("%d tiers FAILED, failed_tier_count is %d", failed, a.FailedTierCount)
	}
}

var wait = regexp.MustCompile(`(?i)(^|\. )wait `)

func (l *linter) advice() {
	a := l.a
	all := strings.Join(a.NextActions, "\n")
	if strings.Contains(all, "Nothing to do") && (a.Health != event.HealthOK || a.Cause != nil || len(a.Doubts) > 0 || a.HasFailures) {
		l.badf("an all-clear beside what is open: %s", all)
	}
	for _, s := range a.NextActions {
		if wait.MatchString(s) && (a.Health == event.HealthStuck || a.Cause == nil || *a.Cause.WaitingHelps != "yes") {
			l.badf("it advises to wait, and waiting doesn't help: %q", s)
		}
		if !slices.ContainsFunc(a.Messages, func(m cause.Message) bool { return m.Text == s }) {
			l.badf("no message says %q", s)
		}
	}
	if len(a.NextActions) == 0 || len(a.NextActions) > 8 {
		l.badf("%d next actions", len(a.NextActions))
	}
	for i, s := range a.NextActions {
		if strings.HasPrefix(s, "Optional: ") && i+1 < len(a.NextActions) && !strings.HasPrefix(a.NextActions[i+1], "Optional: ") {
			l.badf("advice on speed stands above %q", a.NextActions[i+1])
		}
	}
	if strings.HasPrefix(a.NextActions[0], "Optional: ") {
		l.badf("advice on speed stands alone: %s", all)
	}
	if a.HasFailures && a.Status == "PROCESSING" && !strings.Contains(all, "fail") && !strings.Contains(all, "was stopped") && a.Health != event.HealthStuck {
		l.badf("nothing says what failed: %s", all)
	}
	l.steps(all)
}

// steps checks the actions against the status; all are the sentences.
func (l *linter) steps(all string) {
	a := l.a
	over := a.Status != "PROCESSING" && a.Status != "PENDING"
	if over && strings.Contains(all, "called stuck") {
		l.badf("%s, and it is to be called stuck: %s", a.Status, all)
	}
	for _, s := range a.Actions {
		if s.Kind == "retry" && a.Status != "PROCESSING" || s.Kind == "resubmit" && (a.Status == "PROCESSING" || a.Status == "COMPLETED") {
			l.badf("%s, and an action to %s", a.Status, s.Kind)
		}
		if (s.Href == nil) == (s.Command == nil) {
			l.badf("an action without one way: %+v", s)
		}
	}
}

func (l *linter) estimate() {
	a := l.a
	if (a.ETA == nil) != (a.EstimatedCompletion == nil) {
		l.badf("estimate %v, completion %v", a.ETA, a.EstimatedCompletion)
	}
	if e := a.ETA; e != nil && (e.P50.Before(a.View.AsOf) || e.P90.Before(e.P50) || a.Health == event.HealthStuck || a.Status != "PROCESSING") {
		l.badf("an estimate %+v at %v of a batch that is %v", e, a.View.AsOf, a.Health)
	}
}

func (l *linter) tiers() {
	a := l.a
	if a.CurrentTier < 0 || a.CurrentTier >= a.TotalTiers {
		l.badf("current tier %d of %d", a.CurrentTier, a.TotalTiers)
	}
	done := a.Status == "COMPLETED" || a.Status == "COMPLETED_WITH_ERRORS"
	if (a.OverallProgress == 100) != done {
		l.badf("overall progress %v, %s", a.OverallProgress, a.Status)
	}
	for _, t := range a.Tiers {
		p := t.Progress
		switch {
		case (p.Percentage == 100) != (t.Status == "COMPLETED"):
			l.badf("progress %+v of a tier that is %s", p, t.Status)
		case t.Status == "COMPLETED":
		case p.TotalDocuments > 0:
			handled := float64(p.ProcessedDocuments) * 100 / float64(p.TotalDocuments)
			most := float64(min(p.TotalDocuments, p.ProcessedDocuments+t.FailedDocuments)) * 100 / float64(p.TotalDocuments)
			if p.ProcessedDocuments > p.TotalDocuments || p.Percentage < min(99.99, handled)-0.01 || p.Percentage > most+0.01 {
				l.badf("progress %+v with %d failed", p, t.FailedDocuments)
			}
		case p.Percentage != 0:
			l.badf("progress %+v without a total", p)
		}
		if t.Cause != nil && a.Health == event.HealthStuck && a.Cause.Subject.Kind == "tier" && a.Cause.Subject.ID == strconv.Itoa(t.TierNum) && t.Cause.Code != a.Cause.Code {
			l.badf("tier_num %d has the cause %s, the batch %s", t.TierNum, t.Cause.Code, a.Cause.Code)
		}
	}
	if c := a.Cause; c != nil && a.Page == nil && c.Subject.Kind == "job" && !l.hasJob(c) {
		l.badf("the cause is about %s, which no tier shows", c.Subject.ID)
	}
}

func (l *linter) hasJob(c *cause.Cause) bool {
	for _, t := range l.a.Tiers {
		if slices.ContainsFunc(t.Jobs, func(j answer.JobDiagnostic) bool { return j.RayJobID == c.Subject.ID }) {
			return true
		}
	}
	return c.Code == "PIPELINE:RUNS_ON" // of an earlier attempt
}

// times finds ends before starts that no word about clocks explains, and durations that don't fit.
func (l *linter) times() {
	a := l.a
	clocks := slices.ContainsFunc(a.Insights, func(i answer.Insight) bool { return strings.Contains(i.Message, "clock") }) || len(a.Insights) == 10 ||
		slices.ContainsFunc(a.Doubts, func(c cause.Cause) bool { return c.Code == "REPORTING:CLOCK" })
	span := func(what string, from, to *time.Time, took *float64) {
		if from == nil || to == nil {
			return
		}
		if to.Before(*from) && !clocks {
			l.badf("%s ends at %v, before it starts at %v, and nothing speaks of clocks", what, *to, *from)
		}
		if took != nil && math.Abs(*took-max(0, to.Sub(*from).Seconds())) > 1e-6 {
			l.badf("%s took %v from %v to %v", what, *took, *from, *to)
		}
	}
	span("the batch", a.StartedAt, a.CompletedAt, a.DurationSeconds)
	for _, t := range a.Tiers {
		span(fmt.Sprintf("tier_num %d", t.TierNum), t.StartedAt, t.CompletedAt, t.DurationSeconds)
		for _, j := range t.Jobs {
			span(j.RayJobID, j.StartedAt, j.EndedAt, j.DurationSeconds)
			l.phases(&j)
		}
	}
	if p := a.PerformanceSummary; p != nil {
		if sum := p.QueueSeconds + p.ColdStartSeconds + p.ProcessingSeconds + p.HandOverSeconds + p.IdleSeconds; math.Abs(sum-p.TotalTimeSeconds) > 1e-6 {
			l.badf("the parts add up to %v, the whole is %v", sum, p.TotalTimeSeconds)
		}
		for _, s := range p.Stages {
			if s.P50MS != nil && (s.P95MS != nil && *s.P95MS < *s.P50MS || s.MaxTimeMS > 0 && *s.P50MS > s.MaxTimeMS+1e-9) {
				l.badf("the quantiles of %s: %+v", s.StageName, s)
			}
		}
	}
}

// phases finds stretches of a job's life that leave a gap, or that don't add up to the time that it waited.
func (l *linter) phases(j *answer.JobDiagnostic) {
	waited, at := 0.0, *j.SubmittedAt
	for i, p := range j.Phases {
		if i == 0 && !p.StartedAt.Equal(at) && (j.StartedAt == nil || !p.StartedAt.Equal(*j.StartedAt)) || i > 0 && !p.StartedAt.Equal(at) {
			l.badf("the phase %s of %s begins at %v, not at %v", p.Phase, j.RayJobID, p.StartedAt, at)
		}
		if j.StartedAt == nil || p.StartedAt.Before(*j.StartedAt) {
			waited += p.DurationSeconds
		}
		if p.EndedAt == nil && i+1 < len(j.Phases) {
			l.badf("the phase %s of %s goes on, and another follows", p.Phase, j.RayJobID)
		} else if p.EndedAt != nil {
			at = *p.EndedAt
		}
	}
	if j.QueueSeconds != nil && l.a.CompletedAt == nil && math.Abs(waited-*j.QueueSeconds) > 1e-6 {
		l.badf("the phases of %s add up to %v, its queue to %v", j.RayJobID, waited, *j.QueueSeconds)
	}
}

// signed are the numbers that may be negative: what a process ended with, and what may lie before 1970.
var signed = []string{"exit_code", "points", "metric_value"}

// numbers finds negative numbers and null where a list belongs.
func (l *linter) numbers() {
	var v map[string]any
	if err := json.Unmarshal(l.a.AppendJSON(nil), &v); err != nil {
		l.badf("%v", err)
		return
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				if !slices.Contains(signed, k) && k != "submission_params" && k != "demand" && k != "offered" {
					walk(path+"."+k, e)
				}
			}
		case []any:
			for _, e := range v {
				walk(path, e)
			}
		case float64:
			if v < 0 {
				l.badf("%s is %v", path, v)
			}
		}
	}
	walk("", v)
}
