package machine

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// waiting is a verdict as published, with the job's status and the time.
type waiting struct {
	verdict
	status Status
	at     time.Time
}

// says records a verdict. It returns false if the same verdict was already published.
func (e *entry) says(v verdict, now time.Time) bool {
	status := e.job.Status()
	before := e.waiting
	if before != nil && before.status != status {
		before = nil // the reason for PENDING doesn't apply to RUNNING
	}
	if before == nil && v.kind == "" || before != nil && same(before.verdict, v) {
		return false
	}
	at := v.from
	if v.kind == "" {
		at = now
	}
	if before != nil && !at.After(before.at) { // a change back to an earlier verdict has no time of its own
		at = latest(now, before.at.Add(time.Millisecond))
	}
	e.waiting = &waiting{v, status, at}
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
	return a.kind == b.kind && a.who == b.who && a.detail == b.detail && reflect.DeepEqual(a.pending, b.pending) && reflect.DeepEqual(a.infeasible, b.infeasible) &&
		reflect.DeepEqual(a.demand.facts(), b.demand.facts()) && reflect.DeepEqual(total(a.offered), total(b.offered)) && a.since.Sub(b.since).Abs() < sinceError
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
			detail = strings.TrimSuffix(w.who+": "+detail, ": ")
		}
		base.WaitingOn = &client.WaitingOn{
			Kind: w.kind, Since: w.since.UTC(), Demand: w.demand.facts(), Offered: w.offered.amounts(), NodesPending: w.pending,
			Infeasible: w.infeasible, Detail: detail,
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
