package answer

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// rayActions are what Ray's own tools offer; `ray job` finds its cluster by RAY_ADDRESS.
func rayActions() []judge.ActionTemplate {
	return []judge.ActionTemplate{
		{Kind: judge.ActionLogs, Command: "ray job logs {ray_job_id}"},
		{Kind: judge.ActionStop, Command: "ray job stop {ray_job_id}"},
	}
}

// subject is what an action is about.
type subject struct {
	kind  string
	label string
	tier  *judge.Tier
	job   *judge.Job
}

const maxActions = 10

// actions are the steps at hand, most useful first.
func (r *renderer) actions(v judge.Verdict) []Action {
	out := []Action{}
	for _, s := range r.subjects(v) {
		for _, a := range r.take(s) {
			if len(out) < maxActions && !slices.ContainsFunc(out, func(o Action) bool {
				return o.Kind == a.Kind && judge.Equal(o.Href, a.Href) && judge.Equal(o.Command, a.Command)
			}) {
				out = append(out, a)
			}
		}
	}
	return out
}

func (r *renderer) take(s subject) (out []Action) {
	if s.kind == judge.ActionOpen && s.job != nil {
		if link := r.dashboardURL(s.job.State); link != nil {
			out = append(out, Action{Label: s.label, Kind: s.kind, Href: link})
		}
	}
	own := slices.ContainsFunc(r.p.Actions, func(t judge.ActionTemplate) bool { return t.Kind == s.kind })
	templates := r.p.Actions
	if !own {
		templates = rayActions()
	}
	for _, t := range templates {
		if t.Kind != s.kind {
			continue
		}
		a := Action{Label: s.label, Kind: s.kind}
		ok := true
		if t.Label != "" {
			a.Label, ok = r.fill(t.Label, s, plainText)
		}
		if t.Href != "" {
			link, whole := r.fill(t.Href, s, url.QueryEscape)
			a.Href, ok = &link, ok && whole && r.follows(link)
		} else {
			command, whole := r.fill(t.Command, s, shellWord)
			a.Command, ok = &command, ok && whole
		}
		if ok {
			out = append(out, a)
		}
	}
	return out
}

// subjects are what could be done about the verdict and the failures, in order of use.
func (r *renderer) subjects(v judge.Verdict) (out []subject) {
	job, tier := r.evidence(v)
	about := func(kind, format string, t *judge.Tier, j *judge.Job, args ...any) {
		out = append(out, subject{kind, fmt.Sprintf(format, args...), t, j})
	}
	if v.Health == event.HealthStuck || v.Health == event.HealthScaling {
		if job != nil {
			about(judge.ActionOpen, "Open %s in Ray", tier, job, job.State.ID)
		}
	}
	if v.Health == event.HealthStuck && r.d.Status == event.WordProcessing {
		if v.Evidence.Signal == cause.RayJobUnschedulable {
			about(judge.ActionResize, "Change what %s asks for", tier, job, r.tierName(tier.Num))
		}
		if job != nil && job.Status == event.WordRunning {
			about(judge.ActionLogs, "Read the logs of %s", tier, job, job.State.ID)
		}
		if job != nil && job.Live() {
			about(judge.ActionStop, "Stop %s", tier, job, job.State.ID)
		}
		if tier != nil && v.Evidence.Signal != cause.NotFinalized {
			about(judge.ActionRetry, "Retry %s", tier, job, r.tierName(tier.Num))
		}
	}
	var first *judge.Tier
	for _, t := range r.d.Tiers {
		if t.Status != event.WordFailed {
			continue
		}
		if first == nil {
			first = t
		}
		if j := t.Deciding(); j != nil {
			about(judge.ActionOpen, "Open %s in Ray", t, j, j.State.ID)
			about(judge.ActionLogs, "Read the logs of %s", t, j, j.State.ID)
			if cause.IsOutOfMemory(j.State) {
				about(judge.ActionResize, "Give %s more memory", t, j, r.tierName(t.Num))
			}
		}
		if r.d.Status == event.WordProcessing { // a terminal batch is resubmitted
			about(judge.ActionRetry, "Retry %s", t, t.Deciding(), r.tierName(t.Num))
		}
	}
	for _, j := range r.failedJobs() {
		about(judge.ActionOpen, "Open %s in Ray", r.d.TierAt(j.Tier), j, j.State.ID)
		about(judge.ActionLogs, "Read the logs of %s", r.d.TierAt(j.Tier), j, j.State.ID)
	}
	if t := cmpFirst(first, r.firstIncomplete()); r.d.Status.Rank() == event.RankTerminal && t != nil {
		about(judge.ActionResubmit, "Resubmit from %s", t, t.Deciding(), r.tierName(t.Num))
	}
	return out
}

// evidence finds the job and the tier that a verdict names.
func (r *renderer) evidence(v judge.Verdict) (job *judge.Job, tier *judge.Tier) {
	if id := v.Evidence.RayJobID; id != nil {
		for _, j := range r.d.Jobs {
			if j.State.ID == *id {
				job = j
			}
		}
	}
	if n := v.Evidence.TierNum; n != nil {
		tier = r.d.TierOrNew(int32(*n))
	}
	return job, tier
}

func cmpFirst(tiers ...*judge.Tier) *judge.Tier {
	for _, t := range tiers {
		if t != nil {
			return t
		}
	}
	return nil
}

// firstIncomplete is the lowest tier of an ended batch that leaves something to do again: documents that
// failed, or a tier that never completed.
func (r *renderer) firstIncomplete() *judge.Tier {
	if r.d.Status == event.WordCompleted || r.d.Status == event.WordSkipped {
		return nil
	}
	for _, t := range r.d.Tiers {
		if t.Failed > 0 || t.Status != event.WordCompleted {
			return t
		}
	}
	return nil
}

// fill replaces the placeholders; ok is false where something it needs isn't known.
func (r *renderer) fill(template string, s subject, quote func(string) string) (text string, ok bool) {
	values := map[string]string{"{namespace}": r.d.View.Namespace, "{batch_id}": r.d.View.Batch}
	if s.tier != nil {
		values["{tier_num}"] = strconv.Itoa(int(s.tier.Num))
		values["{next_attempt}"] = strconv.Itoa(int(s.tier.Attempt) + 1)
	}
	if j := s.job; j != nil {
		values["{ray_job_id}"], values["{cluster}"] = j.State.ID, j.State.Cluster
		if w, _, waits := j.WaitingOn(); waits {
			values["{demand}"] = w.DemandJSON
		}
		var wants struct {
			GPUs json.Number `json:"num_gpus"`
		}
		if j.State.Resources.Set && json.Unmarshal([]byte(j.State.Resources.V), &wants) == nil {
			values["{num_gpus}"] = wants.GPUs.String()
		}
	}
	ok = true
	text = judge.Placeholder.ReplaceAllStringFunc(template, func(p string) string {
		value := values[p]
		ok = ok && value != ""
		return quote(value)
	})
	return text, ok
}

func plainText(s string) string { return s }

// shellWord quotes what a shell would not take as one word: a command is copied into one.
func shellWord(s string) string {
	plain := func(c rune) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("_-.:/", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// failedJobs are the jobs that failed and weren't replaced, in tiers that haven't failed: at most three.
func (r *renderer) failedJobs() (out []*judge.Job) {
	if r.d.Status.Rank() == event.RankTerminal && r.d.Status != event.WordFailed && r.d.Status != event.WordCompletedWithErrors {
		return nil
	}
	for _, t := range r.d.Tiers {
		for _, j := range t.Jobs {
			if t.Status != event.WordFailed && j.Status == event.WordFailed && !j.Superseded && len(out) < 3 {
				out = append(out, j)
			}
		}
	}
	return out
}
