package answer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// An insight rule is a pure function that finds something only if there is enough data. Findings are
// ordered by severity, then by weight: the share of the problem that they explain, 0 to 1.
type rule struct {
	name  string
	find  func(r *renderer, say sayer)
	speed bool // the recommendation makes the batch faster and is optional
}

type found struct {
	Insight
	rule   string
	weight float64
	speed  bool
}

type sayer func(kind, severity string, weight, metric float64, stage, message, recommendation string)

// The least amounts of data for which a rule applies.
const (
	minDocs      = 50               // documents, for a rate
	minRuns      = 20               // executions, for a share of time
	minSpan      = int64(60 * 1e9)  // time, for a share of time
	minSlowSpan  = int64(300 * 1e9) // time, for a trend
	minFunnel    = 10               // documents, so that "all of them" isn't a coincidence
	minSkewDocs  = 100              // documents of the faster of two
	minStageMS   = 10_000.0         // milliseconds of all stages, for a share of them
	dominantTime = 0.5              // a share of time from which it dominates
	dominantLead = 2.0              // …if it is so many times as large as the next one: of two, one always has half
	waitShare    = 0.3              // a share of time from which waiting matters
	skewRatio    = 3.0              // how many times slower is skewed
	slowRatio    = 0.5              // a recent rate below this share of the first one is slower
	clockSkew    = int64(120 * 1e9) // by how much a job may begin after its tier's reported end
	maxInsights  = 10
)

func rules() []rule {
	return []rule{
		{"out_of_memory", outOfMemory, false},
		{"driver_died", driverDied, false},
		{"funnel", funnelEmpty, false},
		{"failed_documents", failedDocuments, false},
		{"retries", retries, false},
		{"stage_dominates", stageDominates, true},
		{"tier_dominates", tierDominates, true},
		{"waiting_dominates", waitingDominates, true},
		{"skewed_extractors", skewedExtractors, true},
		{"slow_worker", slowWorker, true},
		{"slowing", slowing, true},
		{"slower_than_before", slowerThanBefore, true},
		{"hand_over", handOver, true},
		{"total_unknown", totalUnknown, false},
		{"overtaken", overtaken, false},
		{"clocks_disagree", clocksDisagree, false},
	}
}

// RuleNames are the names of all rules.
func RuleNames() []string {
	out := make([]string, 0, len(rules()))
	for _, r := range rules() {
		out = append(out, r.name)
	}
	return out
}

// RulesThatSpeak are the names of the rules that find something in a view, in the order of their insights.
func RulesThatSpeak(d *judge.Derived, asOf time.Time, p judge.Policy) []string {
	out := []string{}
	for _, f := range newRenderer(d, asOf, p).found() {
		out = append(out, f.rule)
	}
	return out
}

var severityOrder = map[string]int{"critical": 0, "warning": 1, "info": 2}

// insights are the findings that matter most.
func (r *renderer) insights() []Insight {
	all := r.findings()
	out := make([]Insight, 0, min(len(all), maxInsights))
	for _, f := range all[:min(len(all), maxInsights)] {
		out = append(out, f.Insight)
	}
	return out
}

// findings are what the rules find, computed once.
func (r *renderer) findings() []found {
	if r.drawn == nil {
		r.drawn = r.found()
	}
	return r.drawn
}

func (r *renderer) found() []found {
	all := []found{}
	stands := r.standsStill()
	for _, one := range rules() {
		if one.speed && stands {
			continue // a faster batch isn't the problem while it waits or stands still
		}
		one.find(r, func(kind, severity string, weight, metric float64, stage, message, recommendation string) {
			i := Insight{Type: kind, Severity: severity, Message: message, MetricValue: &metric, Recommendation: &recommendation}
			if stage != "" {
				i.Stage = &stage
			}
			all = append(all, found{i, one.name, weight, one.speed})
		})
	}
	slices.SortStableFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(severityOrder[a.Severity], severityOrder[b.Severity]), cmp.Compare(b.weight, a.weight))
	})
	return all
}

// standsStill reports that no open tier makes progress.
func (r *renderer) standsStill() bool {
	for i := range r.cases.Tiers {
		if j := r.cases.Tiers[i]; j.Moves && j.Stuck(r.asOf) == nil {
			return false
		}
	}
	return len(r.cases.Tiers) > 0
}

func orWord(s, word string) string {
	if s == "" {
		return word
	}
	return s
}

// outOfMemory looks at all jobs. If each of them was replaced, it is a warning for the next batch.
func outOfMemory(r *renderer, say sayer) {
	n, severity := 0, "warning"
	var last *judge.Job
	for _, j := range r.d.Jobs {
		if j.Status != event.WordFailed && j.Status != event.WordStopped || !cause.IsOutOfMemory(j.State) {
			continue
		}
		if n++; last == nil || j.End > last.End {
			last = j
		}
		if t := r.d.TierAt(j.Tier); !j.Superseded && j.Attempt == t.Attempt && t.Status != event.WordCompleted {
			severity = "critical"
		}
	}
	if n > 0 {
		say("bottleneck", severity, 0.9, float64(n), "",
			fmt.Sprintf("%s ended out of memory, the last of them %s.", count(n, "Ray job"), last.State.ID),
			fmt.Sprintf("Give the workers of %s more memory than %s had, or use smaller batches.", r.tierName(last.Tier), last.State.ID))
	}
}

func driverDied(r *renderer, say sayer) {
	for _, t := range r.d.Tiers {
		for _, j := range t.Jobs {
			if j.Superseded || j.Status != event.WordFailed || cause.IsOutOfMemory(j.State) || cause.CategoryOf(j.State) != cause.Infrastructure {
				continue
			}
			after, metric := "", float64(j.State.ExitCode.V)
			if j.Start != 0 && j.End > j.Start {
				after, metric = " after "+lasted(j.End-j.Start), judge.Seconds(j.End-j.Start)
			}
			say("warning", "critical", 0.8, metric, "",
				fmt.Sprintf("The driver of %s died%s (%s); its documents so far may be incomplete.", j.State.ID, after, howDied(j.State)),
				fmt.Sprintf("Check the node that %s ran on, then submit %s again.", j.State.ID, r.tierName(t.Num)))
		}
	}
}

func howDied(j *view.Job) string {
	how := orWord(cause.Clean(string(j.ErrType.V)), "no error type")
	if j.ExitCode.Set {
		how += ", " + cause.Exit(int64(j.ExitCode.V))
	}
	return how
}

func funnelEmpty(r *renderer, say sayer) {
	for _, t := range r.d.Tiers {
		if t.AttemptState == nil || t.Status == event.WordPending {
			continue
		}
		c := &t.Own.Counts
		fetched, filtered := c[event.CountFetched], c[event.CountAfterFilter]
		missing, submitted, written := c[event.CountMissingInputs], c[event.CountSubmitted], c[event.CountWritten]
		over := t.Status.Rank() == event.RankTerminal
		completed := t.Status == event.WordCompleted // a failed one may not have got that far
		input, known := fetched.N, fetched.Set
		if filtered.Set {
			input, known = filtered.N, true
		}
		switch {
		case fetched.Set && fetched.N == 0 && completed:
			say("warning", "warning", 0.9, 0, "", r.tierNameBegin(t.Num)+" fetched no documents: its source is empty.",
				upstream(r, t.Num))
		case fetched.N >= minFunnel && filtered.Set && filtered.N == 0 && completed:
			say("warning", "warning", 0.9, float64(fetched.N), "", fmt.Sprintf("The filters of %s removed all %d documents.", r.tierName(t.Num), fetched.N),
				fmt.Sprintf("Check the filters of %s: they are too strict for this input.", r.tierName(t.Num)))
		case known && input >= minFunnel && missing.N >= input:
			say("warning", "critical", 0.9, float64(missing.N), "", fmt.Sprintf("All %d documents of %s miss the inputs it needs.", input, r.tierName(t.Num)),
				fmt.Sprintf("Check the fields that the extractor before %s writes.", r.tierName(t.Num)))
		case submitted.N >= minFunnel && written.Set && written.N == 0 && over:
			say("warning", "critical", 1, float64(submitted.N), "", fmt.Sprintf("%s submitted %d documents and wrote none: the engine failed.", r.tierNameBegin(t.Num), submitted.N),
				fmt.Sprintf("Read the errors of the engine of %s and of the store that it writes to.", r.tierName(t.Num)))
		}
	}
}

func upstream(r *renderer, tier int32) string {
	if tier == 0 {
		return "Check that the bucket has the objects that " + r.tierName(0) + " is to fetch."
	}
	return fmt.Sprintf("Check that %s wrote the documents that %s is to fetch.", r.tierName(tier-1), r.tierName(tier))
}

func failedDocuments(r *renderer, say sayer) {
	if r.d.FailedDocs == 0 {
		return
	}
	byType := map[string]int64{}
	done := int64(0)
	for _, t := range r.d.Tiers {
		done = event.Plus(done, t.Processed)
		if t.AttemptState == nil {
			continue
		}
		for _, e := range t.AttemptState.Errors {
			byType[e.Key.ErrType] = event.Plus(byType[e.Key.ErrType], max(e.Total(), int64(len(e.Docs))))
		}
	}
	types := make([]string, 0, len(byType))
	for name := range byType {
		types = append(types, name)
	}
	slices.SortFunc(types, func(a, b string) int { return cmp.Or(cmp.Compare(byType[b], byType[a]), strings.Compare(a, b)) })
	parts := make([]string, 0, 3)
	for _, name := range types[:min(3, len(types))] {
		parts = append(parts, fmt.Sprintf("%d by %s", byType[name], orWord(name, "an unnamed error"))) // a document may fail more than once
	}
	by := ""
	if len(parts) > 0 {
		by = ": " + strings.Join(parts, ", ")
	}
	advice := "Find out why documents failed, then run them again."
	if len(types) > 0 {
		advice = fmt.Sprintf("Fix the most frequent cause of failed documents first, %s.", orWord(types[0], "an unnamed error"))
	}
	severity := "warning"
	if r.d.FailedDocs >= minDocs && r.d.FailedDocs >= done/10 {
		severity = "critical"
	}
	say("warning", severity, 0.7, float64(r.d.FailedDocs), "", count(r.d.FailedDocs, "document")+" failed"+by+".",
		advice)
}

// retries that end in the same way may hide a failing node. Jobs that were stopped, or whose end nobody
// explained, don't count.
func retries(r *renderer, say sayer) {
	for _, t := range r.d.Tiers {
		n := 0
		alike := map[string]int{}
		for _, j := range t.Jobs {
			if !j.Superseded {
				continue
			}
			n++
			if j.Status == event.WordFailed && (j.State.ErrType.V != "" || j.State.ExitCode.Set) {
				alike[howDied(j.State)]++
			}
		}
		for how, k := range alike {
			if k == n && n >= 2 {
				say("warning", "warning", 0.6, float64(n), "", fmt.Sprintf("In %s, %d Ray jobs failed alike (%s) and were submitted again: retries may hide a failing node.", r.tierName(t.Num), n, how),
					fmt.Sprintf("Compare the nodes on which the superseded jobs of %s ran.", r.tierName(t.Num)))
				n = 0
			}
		}
		if n > 0 {
			say("warning", "info", 0.4, float64(n), "", fmt.Sprintf("In %s, %s ended early and had to be submitted again.", r.tierName(t.Num), count(n, "Ray job")),
				fmt.Sprintf("Look at the messages of the superseded jobs of %s.", r.tierName(t.Num)))
		}
	}
}

func totalUnknown(r *renderer, say sayer) {
	for _, t := range r.d.Tiers {
		if t.Status == event.WordProcessing && !t.TotalKnown && t.Processed >= minDocs {
			say("optimization", "info", 0.2, float64(t.Processed), "", fmt.Sprintf("%s has processed %d documents of an unknown total: it shows no percentage and no estimate.", r.tierNameBegin(t.Num), t.Processed),
				fmt.Sprintf("Report total_documents with the progress of %s.", r.tierName(t.Num)))
		}
	}
}

func overtaken(r *renderer, say sayer) {
	for _, t := range r.d.Tiers {
		if t.Overtaken() {
			say("warning", "info", 0.3, float64(t.Processed), "",
				fmt.Sprintf("%s reported %d documents processed of a total of %d; shown up to the total.", r.tierNameBegin(t.Num), t.Processed, t.Total),
				"Report total_documents again when the tier's input grows.")
		}
	}
}

// clocksDisagree finds impossible times: a job that began after its tier's reported end, and whatever ended before it began.
func clocksDisagree(r *renderer, say sayer) {
	worst, what := int64(0), ""
	put := func(skew int64, format string, args ...any) {
		if skew > worst {
			worst, what = skew, fmt.Sprintf(format, args...)
		}
	}
	ended := func(name func() string, from, to int64) {
		if from != 0 && to != 0 && to < from {
			put(from-to, "%s ended %s before it began", name(), lasted(from-to))
		}
	}
	ended(func() string { return "The batch" }, r.d.Start, r.d.End)
	for _, t := range r.d.Tiers {
		ended(func() string { return r.tierNameBegin(t.Num) }, t.Start, t.End)
		for _, j := range t.Jobs {
			ended(func() string { return cause.Clean(j.State.ID) }, j.Start, j.End)
		}
		if t.AttemptState == nil {
			continue
		}
		if before := t.AttemptState.Words.FirstOf(event.RankTerminal); !before.IsZero() {
			for _, j := range t.Jobs {
				if skew := j.Start - before.Time; before.Source != j.StartBy.Source && !j.Superseded && j.Start != 0 && j.Status == event.WordSucceeded && skew > clockSkew {
					put(skew, "%s was over %s before its job began", r.tierNameBegin(t.Num), lasted(skew))
				}
			}
		}
	}
	if worst > 0 {
		say("warning", "info", 0.3, judge.Seconds(worst), "", what+", by what was said of it: the clocks of those who said it disagree.",
			"Compare the clocks of the machines that report: those of the orchestrator and of the cluster.")
	}
}

func (r *renderer) tierName(n int32) string { return r.d.TierName(n) }

func (r *renderer) tierNameBegin(n int32) string { return cause.Begin(r.d.TierName(n), "") }
