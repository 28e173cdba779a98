package judge

import (
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
)

// withoutTimes removes from a sentence what only tells when.
var withoutTimes = strings.NewReplacer(" since {since}", "", " since {heard}", "", " at {since}", "", "{while}", "", "{still}", "", "{detail}", "", "{offered}", "")

// Alike is the finding's sentence without names, times and counts of its batch. Two batches with the same code and the same Alike have the
// same trouble: the same demand, on the same cluster, or the same kind of error.
func (f *Finding) Alike(d *Derived) string {
	where := ""
	if f.Job != nil && f.Job.State.Cluster != "" {
		where = " on " + cause.Clean(f.Job.State.Cluster)
	}
	with := cause.Params{
		"job": "a job" + where, "tier": "a tier", "subject": "a tier", "what": "a tier" + where, "total": "documents", "count": "documents",
		"needs": "", "error": cause.Clause(f.errorType()), "unsaid": d.unsaid(f),
	}
	if f.Tier == nil && f.Job == nil {
		with["tier"], with["subject"], with["what"] = "the batch", "the batch", "the batch"
	}
	if f.Job != nil {
		with["subject"] = with["job"]
		if f.Tier == nil || !f.Plain() {
			with["what"] = with["job"]
		}
	}
	if f.Waits != nil {
		if shape := cause.Shape(f.Waits.DemandJSON); shape != "" {
			with["needs"] = ", needs " + shape
		}
	}
	sentence := withoutTimes.Replace(f.Row.Sentence)
	for name := range cause.Names(sentence) {
		if _, known := with[name]; !known { // the sentence is made for one batch
			return f.Row.Said + where
		}
	}
	return cause.Fill(sentence, with)
}

// errorType is the kind of error of a failure, as its source names it; "" if none did.
func (f *Finding) errorType() string {
	switch {
	case !f.Failure:
	case f.Row.Code == cause.DocumentsFailed && f.Tier != nil && f.Tier.AttemptState != nil:
		name, most := "", int64(0)
		for _, e := range f.Tier.AttemptState.Errors {
			if n := max(e.Total(), int64(len(e.Docs))); n > most {
				name, most = e.Key.ErrType, n
			}
		}
		return cause.Clean(name)
	case f.Job != nil && f.Job.State.ErrType.V != "":
		return cause.Clean(string(f.Job.State.ErrType.V))
	case f.Tier != nil && f.Tier.AttemptState != nil && f.Tier.AttemptState.ErrType.V != "":
		return cause.Clean(string(f.Tier.AttemptState.ErrType.V))
	case f.Job != nil && f.Job.State.ExitCode.Set && f.Job.State.ExitCode.V != 0:
		return cause.Exit(int64(f.Job.State.ExitCode.V))
	}
	return ""
}
