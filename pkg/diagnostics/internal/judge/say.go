package judge

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// told is how a finding is put into words.
type told struct {
	with     cause.Params
	sentence string
}

// tell puts a finding into words, once.
func (cases *Cases) tell(f *Finding) told {
	if said, ok := cases.told[f]; ok {
		return said
	}
	with := cases.d.params(f, cases.p)
	said := told{with, cases.d.sentence(f, with)}
	if cases.told == nil {
		cases.told = map[*Finding]told{}
	}
	cases.told[f] = said
	return said
}

// Params are the values for the placeholders in a finding's texts. They must not be changed.
func (cases *Cases) Params(f *Finding) cause.Params { return cases.tell(f).with }

// Sentence is the cause as a sentence.
func (cases *Cases) Sentence(f *Finding) string { return cases.tell(f).sentence }

func (d *Derived) params(f *Finding, p Policy) cause.Params {
	out := cause.Params{"tier": "the batch", "since": cause.Moment(f.Since)}
	if t := f.Tier; t != nil {
		out["tier"] = d.TierName(t.Num)
		out["total"] = cause.Count(t.Total, "document")
	}
	out["subject"], out["runs"] = out["tier"], "the program of "+out["tier"]
	if f.Job != nil {
		out["job"] = cause.Clean(f.Job.State.ID)
		out["subject"], out["runs"] = out["job"], out["job"]
	}
	if w := f.Waits; w != nil {
		out["detail"] = cause.Clause(strings.TrimRight(event.Cut(oneLine(cause.Plain(w.Detail.V)), maxDetail), ". \n"))
		if shape := cause.Shape(w.DemandJSON); shape != "" {
			out["needs"] = ", needs " + shape
		}
		if shape := cause.Shape(w.OfferedJSON); shape != "" {
			out["offered"] = ", offered " + shape
		}
	}
	d.special(f, p, out)
	maps.Copy(out, f.params)
	return out
}

const maxDetail = 300

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// special adds the parameters that only some codes need.
func (d *Derived) special(f *Finding, p Policy, out cause.Params) {
	switch f.Row.Code {
	case cause.Unknown:
		out["unsaid"] = d.unsaid(f)
	case cause.StandsStill:
		if f.Job != nil && f.Job.Live() {
			out["while"] = " while " + out["job"] + " is " + f.Job.Status.String()
		}
	case cause.Silent:
		out["heard"] = cause.Moment(max(f.heard, f.Since))
		if f.heard > f.Since {
			out["still"] = ", and it made no progress since " + out["since"]
		}
	case cause.NoJob:
		out["nojob"], out["submit"] = d.noJob(f, p, out)
	case cause.NeverFinalized:
		out["unfinished"] = "every tier that is known is over since " + out["since"] + ", and the end of the batch was never said"
		if t := d.lastBegun; t != nil && t.Status != event.WordCompleted && t.Status != event.WordSkipped {
			since := ", and neither a new attempt nor the end of the batch was said"
			if d.Former(t) {
				since = " before the batch was submitted again, and hasn't begun again"
			}
			out["unfinished"] = d.TierName(t.Num) + " " + d.ended(t) + since
			out["again"] = ", or run " + d.TierName(t.Num) + " again as a new attempt"
		}
	case cause.Failed, cause.Stopped, cause.ProgramOOM, cause.EnvFailed, cause.Deadline, cause.DriverLost, cause.SubmitterFailed, cause.Rejected, cause.Unreachable:
		if !f.Failure {
			break
		}
		out["what"] = out["tier"]
		if f.Job != nil {
			out["detail"] = cause.Clause(d.JobError(f.Job)) + d.until(f)
		}
		switch {
		case f.Row.Code == cause.Stopped:
			out["what"], out["error"] = out["job"], cause.Clause(d.JobError(f.Job))
		case f.Tier != nil && f.Tier.Status == event.WordFailed:
			out["error"] = d.FailureOf(f.Tier)
		case f.Job != nil:
			out["what"], out["error"] = out["job"]+" of "+out["tier"], cause.Clause(d.JobError(f.Job))
		case d.Batch != nil:
			out["error"] = cause.Clause(orElse(Gist(string(d.Batch.Err.V)), cause.Clean(string(d.Batch.ErrType.V))))
		}
	case cause.DocumentsFailed:
		if f.Tier == nil {
			out["count"] = "documents"
			break
		}
		out["count"], out["error"] = cause.Count(f.Tier.Failed, "document"), mostFrequent(f.Tier)
	}
}

// ended describes how a tier ended.
func (d *Derived) ended(t *Tier) string {
	switch {
	case t.StoppedOnly():
		return "ended when " + cause.Clean(t.Deciding().State.ID) + " was stopped"
	case t.Status == event.WordFailed:
		return "failed" + d.FailureOf(t)
	}
	return "ended " + t.Status.String()
}

// until is what a job that a time limit ended was waiting for.
func (d *Derived) until(f *Finding) string {
	if f.was == nil {
		return ""
	}
	row, _ := cause.OfWaiting(*f.was)
	then := Finding{Row: row, Tier: f.Tier, Job: f.Job, Waits: f.was, Since: f.was.Since}
	return "; the last that was said of it: " + d.sentence(&then, d.params(&then, Policy{}))
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// unsaid describes what isn't known of a waiting job.
func (d *Derived) unsaid(f *Finding) string {
	switch {
	case f.Waits != nil && f.Waits.Code.V != "":
		return "what it waits for isn't known here"
	case f.Waits != nil:
		return "nobody said whether what it needs comes"
	case d.State.WaitingSaid:
		return "no source said what it waits for"
	}
	return "nobody said what it waits for"
}

// noJob says that nothing runs for a tier, as far as that is known.
func (d *Derived) noJob(f *Finding, p Policy, with cause.Params) (sentence, submit string) {
	tier, since := with["tier"], with["since"]
	switch {
	case d.Truncated():
		return "nothing more was heard of " + tier + " since " + since, ": it is to begin " + tier
	case len(d.Jobs) == 0 && !p.ExpectsRay && f.Tier.Heard > f.Since:
		return tier + " hasn't begun since " + since, ": it is to begin " + tier
	case len(d.Jobs) == 0 && !p.ExpectsRay:
		return "nothing was heard from " + tier + " since " + since, ": it is to begin " + tier
	case len(f.Tier.Jobs) > 0:
		return "all jobs of " + tier + " are over since " + since + ", and " + tier + " isn't", ": say how " + tier + " ended, or submit a job for it"
	}
	return tier + " has no live Ray job since " + since, ": nothing runs for " + tier + ". Submit one"
}

// mostFrequent is the error by which most documents of a tier failed, as a clause.
func mostFrequent(t *Tier) string {
	if t.AttemptState == nil {
		return ""
	}
	name, most := "", int64(0)
	for _, e := range t.AttemptState.Errors {
		if n := max(e.Total(), int64(len(e.Docs))); n > most {
			name, most = orElse(e.Key.ErrType, "an unnamed error")+clauseAfter(Gist(e.Key.Message)), n
		}
	}
	if most == 0 {
		return ""
	}
	return cause.Clause(itoa(most) + " by " + cause.Clean(name))
}

func clauseAfter(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// FailureOf is a clause with what is known of why a tier failed. A job's error counts before the tier's.
func (d *Derived) FailureOf(t *Tier) string {
	what := ""
	if t.AttemptState != nil {
		what = orElse(Gist(string(t.AttemptState.Err.V)), cause.Clean(string(t.AttemptState.ErrType.V)))
	}
	if j := t.Deciding(); j != nil && j.Status.Rank() == event.RankTerminal {
		if own := d.JobError(j); own != "" {
			what = own
		}
		what = strings.TrimSuffix(cause.Clean(j.State.ID)+": "+what, ": ")
	}
	return cause.Clause(what)
}

// JobError is what is known of why a job ended: its message, error type and exit code.
func (d *Derived) JobError(j *Job) string {
	what := orElse(Gist(string(j.State.Message.V)), cause.Clean(string(j.State.ErrType.V)))
	if !j.State.ExitCode.Set || j.State.ExitCode.V == 0 {
		return what
	}
	how := cause.Exit(int64(j.State.ExitCode.V))
	switch {
	case what == "":
		return how
	case !strings.HasPrefix(how, "killed") && strings.Contains(what, strconv.FormatInt(int64(j.State.ExitCode.V), 10)):
		return what
	}
	return what + ", " + how
}

// Gist is the first line of a message and the last one, which is the error of a traceback.
func Gist(message string) string {
	first, rest, _ := strings.Cut(cause.Plain(message), "\n")
	what := strings.TrimRight(event.Cut(oneLine(first), maxGist), ". :")
	last := oneLine(rest[strings.LastIndexByte(rest, '\n')+1:])
	switch {
	case last == "":
	case strings.HasPrefix(what, "Traceback "):
		what = strings.TrimRight(event.Cut(last, maxGist), ". ")
	default:
		what += "; " + strings.TrimRight(event.Cut(last, maxGist), ". ")
	}
	return what
}

const maxGist = 160

func (d *Derived) sentence(f *Finding, with cause.Params) string {
	switch {
	case f.Row.Code == cause.NodeLaunching && f.Certainty == cause.Inferred:
		return "GPU workers scaling from zero"
	case f.Row.Code == cause.DocumentsFailed && f.Tier == nil:
		return "the batch ended with errors, and no event names a document that failed"
	case f.Row.Code == cause.RetryLoop && f.Waits != nil: // a source reports it of a job's parts
		return with["job"] + " does the same work again and again" + with["detail"]
	case f.Row.Code == cause.Unknown && f.Job != nil && f.Job.Status.Rank() == event.RankProcessing:
		return with["job"] + " waits" + with["needs"] + with["offered"] + with["detail"] + ", and " + with["unsaid"]
	case f.Failure && !f.Plain():
		who := with["tier"]
		if f.Tier.Status != event.WordFailed {
			who = with["job"] + " of " + who
		}
		return who + " failed: " + cause.Fill(f.Row.Sentence, with)
	}
	return cause.Fill(f.Row.Sentence, with)
}

// Message is the sentence with its code and parameters.
func (cases *Cases) Message(f *Finding) cause.Message {
	said := cases.tell(f)
	m := cause.Message{Code: string(f.Row.Code), Params: map[string]string{}, Text: said.sentence}
	for name := range cause.Names(f.Row.Sentence) {
		if v := said.with[name]; v != "" {
			m.Params[name] = v
		}
	}
	m.Params["since"] = Instant(f.Since).Format("2006-01-02T15:04:05.999999999Z07:00")
	return m
}

// Show is the finding as answers show it.
func (cases *Cases) Show(f *Finding) *cause.Cause {
	if f == nil {
		return nil
	}
	helps := f.Helps()
	out := &cause.Cause{
		Code: f.Row.Code, Certainty: f.Certainty, Since: Instant(f.Since), WhoActs: &f.Row.Who, WaitingHelps: &helps, Sentence: cases.Sentence(f),
		Subject: cases.d.subject(f), Demand: Raw(""), Offered: Raw(""), Holders: list(""), Fixes: list(""), Asked: list(""), Evidence: []string{},
	}
	if w := f.Waits; w != nil {
		out.Demand, out.Offered = Raw(w.DemandJSON), Raw(w.OfferedJSON)
		out.Holders, out.Fixes, out.Asked = list(w.HoldersJSON), list(w.FixesJSON), list(w.AskedJSON)
		if w.Detail.Set {
			detail := cause.Plain(w.Detail.V)
			out.Detail = &detail
		}
	} else if f.Job != nil && f.Failure && f.Job.State.Message.Set {
		detail := event.Cut(cause.Plain(string(f.Job.State.Message.V)), maxDetail)
		out.Detail = &detail
	}
	by := f.By
	if p := cases.d.seenAt(f); p != nil {
		detail := place(p)
		out.Detail, by = &detail, append(slices.Clip(by), p.Seen.At)
	}
	for _, s := range by {
		if !s.IsZero() {
			out.Evidence = append(out.Evidence, s.ID)
		}
	}
	return out
}

// list is JSON from a source as a list.
func list(canonical string) json.RawMessage {
	if canonical == "" {
		return none
	}
	if canonical[0] != '[' { // it was too large to be kept: its size, in a list all the same
		return json.RawMessage("[" + canonical + "]")
	}
	return json.RawMessage(canonical)
}

func (d *Derived) subject(f *Finding) cause.Subject {
	switch {
	case f.Source != "":
		return cause.Subject{Kind: "source", ID: f.Source}
	case f.Collection != nil:
		return cause.Subject{Kind: "collection", ID: f.Collection.ID}
	case f.Job != nil && !(f.Failure && f.Row.Code != cause.Stopped && f.Tier != nil && f.Tier.Status == event.WordFailed):
		s := cause.Subject{Kind: "job", ID: f.Job.State.ID}
		if c := f.Job.State.Cluster; c != "" {
			s.Cluster = &c
		}
		return s
	case f.Tier != nil:
		return cause.Subject{Kind: "tier", ID: strconv.Itoa(int(f.Tier.Num))}
	}
	return cause.Subject{Kind: "batch", ID: d.View.Batch}
}
