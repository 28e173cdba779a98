package answer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

const maxNextActions = 8

// saying collects texts together with the code and parameters that each was made from.
type saying struct {
	messages []cause.Message
	texts    map[string]bool
	subjects map[string]int // the number of texts about each subject, of which only the first is kept
}

// full reports that as many texts are collected as are shown. No more are composed: a batch may have ten thousand open tiers.
func (n *saying) full() bool { return len(n.messages) == maxNextActions }

func (n *saying) putf(code string, params cause.Params, format string, args ...any) {
	if n.full() {
		return
	}
	text := fmt.Sprintf(format, args...)
	if n.texts[text] {
		return
	}
	n.texts[text] = true
	if params == nil {
		params = cause.Params{}
	}
	n.messages = append(n.messages, cause.Message{Code: code, Params: params, Text: text})
}

// nextActions says what a person can do, most useful first: about the cause, about failures, about what is open, about
// doubts. Advice on speed comes last, and says that it is optional. The list is never empty.
func (r *renderer) nextActions(v judge.Verdict, s *Snapshot) []cause.Message {
	n := &saying{texts: map[string]bool{}, subjects: map[string]int{}}
	if f := v.Cause; f != nil && !f.Failure {
		r.cause(f, n)
	}
	r.failures(s, n)
	r.open(v, n)
	doubts := r.cases.Doubts()
	for i := range doubts {
		if f := &doubts[i]; f.Said(r.asOf) && (v.Cause == nil || v.Cause.Row.Code != f.Row.Code) {
			r.advise(f, n)
		}
	}
	r.recommend(false, n)
	if len(n.messages) == 0 {
		r.allClear(s, n)
	}
	r.recommend(true, n)
	return n.messages
}

// recommend adds what insights recommend: about speed, or about anything else.
func (r *renderer) recommend(speed bool, n *saying) {
	for _, f := range r.findings() {
		switch {
		case f.Severity == "info" || f.Recommendation == nil || f.speed != speed || f.rule == "failed_documents":
		case speed:
			n.putf("ACTION:SPEED", nil, "Optional: %s", *f.Recommendation)
		default:
			n.putf("ACTION:INSIGHT", nil, "%s", *f.Recommendation)
		}
	}
}

func (r *renderer) texts(f *judge.Finding) (sentence, action, about string) {
	with := r.cases.Params(f)
	return r.cases.Sentence(f), cause.Fill(f.Row.Action, with), with["job"]
}

func actionCode(f *judge.Finding) string { return "ACTION:" + string(f.Row.Code) }

// cause says what to do about a cause. "Wait" is said only where waiting helps, inside the limit, with its end.
func (r *renderer) cause(f *judge.Finding, n *saying) {
	sentence, action, name := r.texts(f)
	at, ends := f.Deadline()
	params := maps.Clone(r.cases.Message(f).Params)
	inside := ends && r.asOf <= at
	if inside {
		params["until"] = judge.Instant(at).Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	switch {
	case inside && f.Helps() == cause.Yes:
		n.putf(actionCode(f), params, "Wait until %s: %s. %s", cause.Moment(at), sentence, action)
	case inside:
		n.putf(actionCode(f), params, "%s; it is called stuck at %s. %s", cause.Begin(sentence, name), cause.Moment(at), action)
	default:
		n.putf(actionCode(f), params, "%s. %s", cause.Begin(sentence, name), action)
	}
}

// advise adds a finding with its action, once for each code and tier; further ones of the kind are counted.
func (r *renderer) advise(f *judge.Finding, n *saying) {
	sentence, action, name := r.texts(f)
	n.putf(actionCode(f), r.cases.Message(f).Params, "%s", strings.TrimSpace(cause.Begin(sentence, name)+". "+action))
}

// failures says what to fix.
func (r *renderer) failures(s *Snapshot, n *saying) {
	said, more := 0, map[cause.Code]int{}
	for i := range r.cases.Failed {
		f := &r.cases.Failed[i]
		if said == maxFailures {
			more[f.Row.Code]++
			continue
		}
		if r.failure(f, s, n) {
			said++
		}
	}
	for _, code := range slices.Sorted(maps.Keys(more)) {
		n.putf("ACTION:"+string(code), cause.Params{"count": strconv.Itoa(more[code])}, "%d more alike: see tiers for their errors.", more[code])
	}
}

const maxFailures = 3

func (r *renderer) failure(f *judge.Finding, s *Snapshot, n *saying) bool {
	with := r.cases.Params(f)
	params := r.cases.Message(f).Params
	ended := r.d.Finished() && r.d.Status != event.WordFailed && r.d.Status != event.WordCompletedWithErrors
	switch {
	case f.Row.Code == cause.Stopped || !f.Plain():
		r.advise(f, n)
	case f.Row.Code == cause.DocumentsFailed && f.Tier == nil:
		n.putf(actionCode(f), params, "The batch ended with errors%s, and no event names a document that failed: look at the logs of what reported it.", r.batchError())
	case f.Row.Code == cause.DocumentsFailed:
		example := ""
		if len(s.FailedDocumentsSample) > 0 {
			example = ", such as " + cause.Clean(strings.Join(s.FailedDocumentsSample[:min(3, len(s.FailedDocumentsSample))], ", "))
		}
		n.putf(actionCode(f), params, "Look at what failed, %s of %s%s%s, and run it again once the cause is fixed.", with["count"], with["tier"], with["error"], example)
	case f.Tier != nil && f.Tier.Status == event.WordFailed && r.d.Former(f.Tier):
		n.putf(actionCode(f), params, "%s failed%s before the batch was submitted again, and hasn't begun again: it has to begin as attempt %d.", cause.Begin(with["tier"], ""), with["error"], f.Tier.Attempt+1)
	case f.Tier != nil && f.Tier.Status == event.WordFailed:
		n.putf(actionCode(f), params, "%s failed%s: fix the cause and run it again as attempt %d.", cause.Begin(with["tier"], ""), with["error"], f.Tier.Attempt+1)
	case f.Job != nil && !ended:
		n.putf(actionCode(f), params, "%s failed%s while %s is %s: fix the cause and submit it again.", with["job"], with["error"], with["tier"], f.Tier.Status)
	case f.Job == nil && r.d.FailedTiers == 0 && with["error"] != "":
		n.putf(actionCode(f), params, "The batch failed%s, and no tier of it did: fix the cause and submit the batch again.", with["error"])
	case f.Job == nil && r.d.FailedTiers == 0:
		n.putf(actionCode(f), params, "The batch failed, and no event says why: look at the logs of what reported it, then submit the batch again.")
	case f.Job != nil:
		n.putf(actionCode(f), params, "%s of %s failed%s, and the batch ended %s: look whether its work is missing.", with["job"], with["tier"], with["error"], r.d.StatusText())
	default:
		return false
	}
	return true
}

func (r *renderer) batchError() string {
	if a := r.d.Batch; a != nil {
		return cause.Clause(orWord(judge.Gist(string(a.Err.V)), cause.Clean(string(a.ErrType.V))))
	}
	return ""
}

// open adds what is open beside the cause, so that there is no all-clear.
func (r *renderer) open(v judge.Verdict, n *saying) {
	for i := range r.cases.Tiers {
		if n.full() {
			return
		}
		j := r.cases.Tiers[i]
		r.openFindings(j, v.Cause, n)
		if v.Cause == nil || v.Cause.Tier != j.Tier || !j.Moves {
			r.openCase(j, v, n)
		} else if v.Cause.Job == nil {
			r.openCase(j, v, n)
		}
	}
	r.passedOver(v, n)
	if r.d.Settles() {
		if at := r.d.Quiet() + int64(r.p.Settle); r.asOf <= at {
			n.putf("ACTION:SETTLES", nil, "No job is live and no tier is open: the batch counts as %s if nothing is heard of it until %s.", r.d.SettledStatus(), cause.Moment(at))
		} else {
			n.putf("ACTION:SETTLES", nil, "No job is live and no tier is open, and nothing was heard of the batch since %s: it is about to count as %s.", cause.Moment(r.d.Quiet()), r.d.SettledStatus())
		}
	}
	more := map[cause.Code]int{}
	for i := range r.cases.After {
		f := &r.cases.After[i]
		if !f.Said(r.asOf) || f == v.Cause {
			continue
		}
		if n.subjects[string(f.Row.Code)]++; n.subjects[string(f.Row.Code)] > 2 {
			more[f.Row.Code]++
			continue
		}
		with := r.cases.Params(f)
		switch {
		case f.Early && f.Row.Code == cause.RunsOn:
			n.putf(actionCode(f), r.cases.Message(f).Params, "The end of %s is awaited: %s %s.", with["job"], with["over"], with["since"])
		case f.Early:
			n.putf(actionCode(f), r.cases.Message(f).Params, "%s; the rest may still be reported until %s.", cause.Begin(with["short"], ""), cause.Moment(f.Until))
		case f.OpenOnly:
			n.putf(actionCode(f), r.cases.Message(f).Params, "Look whether %s still runs: nobody said that it ended, and %s %s.", with["job"], with["over"], with["since"])
		default:
			r.advise(f, n)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(more)) {
		n.putf("ACTION:"+string(code), cause.Params{"count": strconv.Itoa(more[code])}, "%d more alike: see tiers and collections.", more[code])
	}
	r.usedAgain(n)
}

// passedOver names a tier that was never begun beside later ones that were.
func (r *renderer) passedOver(v judge.Verdict, n *saying) {
	t, more := r.d.PassedOver()
	if t == nil || r.d.Status != event.WordProcessing || r.d.Truncated() || v.Cause != nil && v.Cause.Tier != nil && v.Cause.Tier.Num == t.Num {
		return
	}
	who := cause.Begin(r.d.TierName(t.Num), "") + " hasn't"
	if more > 0 {
		who = cause.Begin(r.d.TierName(t.Num), "") + " and " + strconv.Itoa(more) + " more haven't"
	}
	n.putf("ACTION:PASSED_OVER", nil, "%s begun, though a later tier has. If that is meant, say SKIPPED; else begin it.", who)
}

// openFindings adds what else waits in an open tier, one for each code.
func (r *renderer) openFindings(j *judge.Case, spoken *judge.Finding, n *saying) {
	alike, shapes := map[cause.Code]int{}, map[cause.Code]map[string]int{}
	more := func(f *judge.Finding) {
		alike[f.Row.Code]++
		if f.Waits == nil || cause.Shape(f.Waits.DemandJSON) == "" {
			return
		}
		if shapes[f.Row.Code] == nil {
			shapes[f.Row.Code] = map[string]int{}
		}
		shapes[f.Row.Code][cause.Shape(f.Waits.DemandJSON)]++
	}
	var listed []*judge.Finding
	for i := range j.Findings {
		f := &j.Findings[i]
		if !f.Said(r.asOf) || f == spoken {
			continue
		}
		if spoken != nil && f.Row.Code == spoken.Row.Code && f.Tier == spoken.Tier {
			more(f)
			continue
		}
		if slices.ContainsFunc(listed, func(o *judge.Finding) bool { return o.Row.Code == f.Row.Code }) {
			more(f)
			continue
		}
		listed = append(listed, f)
	}
	for _, f := range listed {
		if f.Row.Code == cause.Starting && spoken != nil && spoken.Tier == f.Tier {
			continue // the reason of its wait says more
		}
		r.advise(f, n)
	}
	for _, code := range slices.Sorted(maps.Keys(alike)) {
		n.putf("ACTION:"+string(code), cause.Params{"count": strconv.Itoa(alike[code])}, "%s alike in %s%s.", cause.Begin(moreOf(alike[code]), ""), r.d.TierName(j.Tier.Num), needs(shapes[code]))
	}
}

// needs describes what those that wait alike ask for, the most frequent shapes first.
func needs(shapes map[string]int) string {
	by := slices.SortedFunc(maps.Keys(shapes), func(a, b string) int {
		return cmp.Or(cmp.Compare(shapes[b], shapes[a]), cmp.Compare(a, b))
	})
	const most = 3
	parts := make([]string, 0, most+1)
	for i, shape := range by {
		if i == most {
			parts = append(parts, cause.Count(len(by)-most, "other shape"))
			break
		}
		parts = append(parts, strconv.Itoa(shapes[shape])+" × "+shape)
	}
	if len(parts) == 0 {
		return ""
	}
	return ", needing " + strings.Join(parts, "; ")
}

func moreOf(n int) string {
	if n == 1 {
		return "1 more is"
	}
	return strconv.Itoa(n) + " more are"
}

// openCase adds what stays open in a tier without a cause.
func (r *renderer) openCase(j *judge.Case, v judge.Verdict, n *saying) {
	at := j.Since + int64(j.Limit)
	if r.asOf > at {
		return
	}
	stuck := fmt.Sprintf("it is called stuck at %s if nothing comes", cause.Moment(at))
	put := func(code cause.Code, format string, args ...any) {
		n.putf("ACTION:OPEN:"+string(code), cause.Params{"until": judge.Instant(at).Format("2006-01-02T15:04:05.999999999Z07:00")}, format, args...)
	}
	switch {
	case r.d.Status == event.WordPending:
		put(cause.NotSubmitted, "Nothing of the batch has begun since %s; %s.", cause.Moment(j.Since), stuck)
	case j.Signal == cause.NotFinalized:
		f := &j.Findings[0]
		put(cause.NeverFinalized, "%s; %s.", cause.Begin(r.cases.Sentence(f), ""), stuck)
	case !j.Moves:
	case j.Tier.AllHandled():
		put(cause.NotEnding, "All %s of %s are handled, and its end is awaited since %s; %s.", count(j.Tier.Total, "document"), r.d.TierName(j.Tier.Num), cause.Moment(j.Since), stuck)
	case len(j.Tier.Jobs) > 0 && !slices.ContainsFunc(j.Tier.Jobs, (*judge.Job).Live):
		put(cause.NoJob, "All jobs of %s are over, and its end is awaited since %s; %s.", r.d.TierName(j.Tier.Num), cause.Moment(j.Since), stuck)
	case r.asOf > j.Quiet:
		put(cause.Silent, "Nothing was heard of %s since %s, longer than its rhythm; %s.", r.d.TierName(j.Tier.Num), cause.Moment(j.Tier.Heard), stuck)
	case r.asOf > j.Paused:
		put(cause.StandsStill, "%s has made no progress since %s, longer than its rhythm; %s.", cause.Begin(r.d.TierName(j.Tier.Num), ""), cause.Moment(j.Since), stuck)
	}
}

// usedAgain names a submission id that was used for another submission after its job had ended.
func (r *renderer) usedAgain(n *saying) {
	for _, j := range r.d.Jobs {
		if j.End != 0 && j.State.SubmittedLatest > j.End+int64(usedAgainSlack) {
			n.putf("ACTION:ID_USED_AGAIN", cause.Params{"job": j.State.ID}, "The id %s was used again at %s, after its job had ended: give each submission an id of its own, or say its run.", cause.Clean(j.State.ID), cause.Moment(j.State.SubmittedLatest))
			return
		}
	}
}

const usedAgainSlack = 60e9

// allClear says that there is nothing to do. It applies only if nothing else was added.
func (r *renderer) allClear(s *Snapshot, n *saying) {
	put := func(format string, args ...any) { n.putf("ACTION:NOTHING", nil, format, args...) }
	switch {
	case r.d.Status == event.WordNone:
		put("Nothing was heard of the batch's status yet.")
	case r.d.Status == event.WordCompleted:
		put("Nothing to do: the batch completed, %s.", count(r.d.TotalTiers, "tier"))
	case r.d.Finished() && r.d.Status == event.WordFailed:
		put("The batch failed.")
	case r.d.Finished():
		put("Nothing to do: the batch ended %s.", r.d.StatusText())
	case s.ETA != nil:
		put("Nothing to do: the batch moves, and probably ends by %s.", cause.Moment(s.ETA.P90.UnixNano()))
	case r.d.Status == event.WordProcessing && r.moves():
		put("Nothing to do: the batch moves.")
	case r.d.Status == event.WordProcessing:
		put("The batch is at work, and nothing more was heard of it.")
	default:
		put("Nothing to do: the batch hasn't begun.")
	}
}

func (r *renderer) moves() bool {
	return slices.ContainsFunc(r.cases.Tiers, func(j *judge.Case) bool { return j.Moves })
}
