package machine

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// waiting is a verdict as published, with the job's status and the time.
type waiting struct {
	verdict
	status Status
	at     time.Time
	seen   time.Time // when it was judged so last
}

// lostFor is how long a verdict is kept while the wait lasts and what bore it is missing from a look: the autoscaler reports every 5 s,
// may leave out what it is about to place, and reports no launch between one that failed and the next.
const lostFor = 15 * time.Second

// says records a verdict. It returns false if the same verdict was already published. waits tells that something of the job
// still waits.
func (e *entry) says(v verdict, now time.Time, waits bool) bool {
	status := e.job.Status()
	before := e.waiting
	if before != nil && before.status != status {
		before = nil // the reason for PENDING doesn't apply to RUNNING
	}
	tellsLess := before != nil && (v.kind == "" && before.kind != "" || v.code == "" && before.code != "")
	if tellsLess && waits && now.Sub(before.seen) < lostFor && before.code != unreachable {
		return false
	}
	if before != nil && same(before.verdict, v) {
		before.seen = now
		return false
	}
	at := v.from
	if v.kind == "" && at.IsZero() {
		at = now
	}
	if before != nil && !at.After(before.at) { // a change back to an earlier verdict has no time of its own
		at = latest(now, before.at.Add(time.Millisecond))
	}
	e.waiting = &waiting{v, status, at, now}
	return true
}

// same reports whether two verdicts are equal apart from the free amounts, which change all the time.
func same(a, b verdict) bool {
	total := func(s Shape) map[string]any {
		out := map[string]any{}
		for k, n := range s {
			if !strings.HasSuffix(k, "_available") {
				out[k] = n
			}
		}
		return out
	}
	return a.kind == b.kind && a.code == b.code && a.who == b.who && a.detail == b.detail && reflect.DeepEqual(a.pending, b.pending) && reflect.DeepEqual(a.infeasible, b.infeasible) &&
		reflect.DeepEqual(a.demand.facts(), b.demand.facts()) && reflect.DeepEqual(total(a.offered), total(b.offered)) && slices.Equal(a.asked, b.asked) && sameHolders(a.holders, b.holders) && a.since.Sub(b.since).Abs() < sinceError
}

// sinceError is the largest difference between the times that two sources give for the same wait.
const sinceError = 3 * time.Second

// waitFacts returns what a live job waits for, as last published.
func (e *entry) waitFacts(base *client.Job) []fact {
	w := e.waiting
	if w == nil || !e.job.Live() || w.status != e.job.Status() {
		return nil
	}
	base.Status = string(w.status)
	base.WaitingOn = &client.WaitingOn{}
	name := "nothing"
	if w.kind != "" {
		name = w.kind
		detail := w.detail
		if w.who != "entrypoint" {
			who := w.who
			if w.alike > 1 {
				who += fmt.Sprintf(", one of %d that wait", w.alike)
			}
			detail = strings.TrimSuffix(who+": "+detail, ": ")
		}
		base.WaitingOn = &client.WaitingOn{
			Kind: w.kind, Since: w.since.UTC(), Demand: w.demand.facts(), Offered: w.offered.amounts(), NodesPending: w.pending,
			Infeasible: w.infeasible, Detail: detail, Code: w.code, Asked: askedFacts(w.asked), Holders: holderFacts(w.holders), Fixes: texts(w.fixes),
		}
		if w.code != "" {
			name += "-" + strings.ToLower(strings.ReplaceAll(w.code, ":", "-"))
		}
	}
	return []fact{{fmt.Sprintf("waiting-%s-%d", name, w.at.UnixMilli()), w.at, base}}
}

// amounts keeps zeros, since "nothing offered" is the information here.
func (s Shape) amounts() map[string]any {
	if len(s) == 0 {
		return nil
	}
	out := map[string]any{}
	for k, n := range s {
		out[k] = n
	}
	return out
}

// holdersKept is how many holders are named.
const holdersKept = 8

func sameHolders(a, b []Holder) bool {
	a, b = together(a), together(b)
	return slices.EqualFunc(a[:min(len(a), holdersKept)], b[:min(len(b), holdersKept)], func(a, b Holder) bool {
		return a.Submission == b.Submission && a.Job == b.Job && a.What == b.What && a.Over == b.Over && a.Shape.equal(b.Shape)
	})
}

// together adds up what holders of the same name hold, such as the actors of a pool.
func together(holders []Holder) (out []Holder) {
	for _, h := range holders {
		i := slices.IndexFunc(out, func(o Holder) bool {
			return o.Submission == h.Submission && o.Job == h.Job && o.What == h.What && o.Over == h.Over
		})
		if i < 0 {
			h.Count = 1
			out = append(out, h)
			continue
		}
		out[i].Shape, out[i].Count = out[i].Shape.plus(h.Shape), out[i].Count+1
	}
	return out
}

func holderFacts(holders []Holder) (out []any) {
	holders = together(holders)
	for i, h := range holders {
		if i == holdersKept {
			return append(out, fmt.Sprintf("%d more", len(holders)-holdersKept))
		}
		one := map[string]any{"what": h.What, "holds": h.Shape.facts()}
		if h.Count > 1 {
			one["count"] = h.Count
		}
		if h.Submission != "" {
			one["submission_id"] = h.Submission
		} else if h.Job != "" {
			one["job_id"] = h.Job
		}
		if h.Over && !h.Ended.IsZero() {
			one["ended_at"] = h.Ended.UTC().Format(time.RFC3339)
		}
		out = append(out, one)
	}
	return out
}

func askedFacts(asked []Asked) (out []any) {
	for _, a := range asked {
		out = append(out, map[string]any{"source": a.Source, "answer": a.Says})
	}
	return out
}

func texts(all []string) (out []any) {
	for _, s := range all {
		out = append(out, s)
	}
	return out
}
