package diagnostics

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An insight rule is a pure function that speaks only when its numbers carry it. What it finds is
// ordered by severity, then by weight: how much of the trouble it explains, 0 to 1.
type rule struct {
	name string
	find func(r *renderer, say sayer)
}

type found struct {
	Insight
	rule   string
	weight float64
}

type sayer func(kind, severity string, weight, metric float64, stage, message, recommendation string)

// Least amounts below which a number says nothing.
const (
	minDocs      = 50               // documents, for a rate
	minRuns      = 20               // executions, for a share of time
	minSpan      = int64(60 * 1e9)  // time, for a share of time
	minSlowSpan  = int64(300 * 1e9) // time, for a trend
	minFunnel    = 10               // documents, for "all of them" to be no accident
	minSkewDocs  = 100              // documents of the faster of two
	dominantTime = 0.5              // a share of time from which it dominates
	waitShare    = 0.3              // a share of time from which waiting matters
	skewRatio    = 3.0              // how many times slower is skewed
	slowRatio    = 0.5              // a recent rate below this share of the first is slowing
	clockSkew    = int64(120 * 1e9) // a job that ran so long before its tier's attempt was named…
	maxInsights  = 10
)

func rules() []rule {
	return []rule{
		{"unplaceable_actors", unplaceableActors},
		{"alive_or_silent", aliveOrSilent},
		{"out_of_memory", outOfMemory},
		{"driver_died", driverDied},
		{"funnel", funnelEmpty},
		{"failed_documents", failedDocuments},
		{"retries", retries},
		{"stage_dominates", stageDominates},
		{"tier_dominates", tierDominates},
		{"waiting_dominates", waitingDominates},
		{"skewed_extractors", skewedExtractors},
		{"slow_worker", slowWorker},
		{"slowing", slowing},
		{"slower_than_before", slowerThanBefore},
		{"hand_over", handOver},
		{"total_unknown", totalUnknown},
		{"overtaken", overtaken},
		{"clocks_disagree", clocksDisagree},
	}
}

var severityOrder = map[string]int{"critical": 0, "warning": 1, "info": 2}

// insights are the findings that matter most.
func (r *renderer) insights() []Insight {
	all := r.found()
	out := make([]Insight, 0, min(len(all), maxInsights))
	for _, f := range all[:min(len(all), maxInsights)] {
		out = append(out, f.Insight)
	}
	return out
}

func (r *renderer) found() []found {
	var all []found
	for _, rule := range rules() {
		rule.find(r, func(kind, severity string, weight, metric float64, stage, message, recommendation string) {
			i := Insight{Type: kind, Severity: severity, Message: message, MetricValue: &metric, Recommendation: &recommendation}
			if stage != "" {
				i.Stage = &stage
			}
			all = append(all, found{i, rule.name, weight})
		})
	}
	slices.SortStableFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(severityOrder[a.Severity], severityOrder[b.Severity]), cmp.Compare(b.weight, a.weight))
	})
	return all
}

func unplaceableActors(r *renderer, say sayer) {
	for _, j := range r.d.jobs {
		w, _, ok := j.waitingOn()
		if !ok || !j.live() || j.status != WordRunning || w.Kind != "resources" || r.asOf-w.Since < int64(r.p.Grace) {
			continue
		}
		severity := "warning"
		if w.Infeasible.V {
			severity = "critical"
		}
		waited := seconds(r.asOf - w.Since)
		say("bottleneck", severity, 1, waited, "",
			fmt.Sprintf("The driver of %s is RUNNING, but its actors or tasks have waited %.0f s for %s.", j.j.id, waited, orWord(w.DemandJSON, "resources")),
			"Offer such a node type, free the resources, or lower what the actors ask for.")
	}
}

func orWord(s, word string) string {
	if s == "" {
		return word
	}
	return s
}

func aliveOrSilent(r *renderer, say sayer) {
	for _, j := range r.cases {
		if j.tier == nil || !j.stuck(r.asOf, r.p) || j.caused(r.asOf, r.p) || j.job == nil || j.job.status != WordRunning {
			continue
		}
		still, quiet := r.asOf-j.since, r.asOf-j.tier.heard
		if j.tier.heard > j.since && quiet < still/4 {
			say("warning", "warning", 0.5, seconds(quiet), "",
				fmt.Sprintf("Tier %d is alive without progress: it was heard %.0f s ago, but nothing has moved for %.0f s.", j.tier.num, seconds(quiet), seconds(still)),
				"Look for a deadlock, an endless retry or a document that blocks: the process itself still reports.")
		} else {
			say("warning", "warning", 0.5, seconds(quiet), "",
				fmt.Sprintf("Tier %d is silent: nothing was heard of it for %.0f s.", j.tier.num, seconds(quiet)),
				"Check that its driver and the relay of its events are still running.")
		}
	}
}

func outOfMemory(r *renderer, say sayer) {
	n, where := 0, ""
	for _, j := range r.d.jobs {
		if isOutOfMemory(j.j) {
			n, where = n+1, j.j.id
		}
	}
	if n > 0 {
		say("bottleneck", "critical", 0.9, float64(n), "",
			fmt.Sprintf("%s ended out of memory, the last of them %s.", count(n, "Ray job"), where),
			"Give the tier's workers more memory, or use smaller batches.")
	}
}

func driverDied(r *renderer, say sayer) {
	for _, j := range r.d.jobs {
		if j.superseded || j.status != WordFailed || isOutOfMemory(j.j) || categoryOf(j.j) != categoryInfrastructure {
			continue
		}
		say("warning", "critical", 0.8, float64(j.j.exitCode.v), "",
			fmt.Sprintf("The driver of %s died (%s); its documents so far may be incomplete.", j.j.id, howDied(j.j)),
			"Check the node it ran on, then submit the tier again.")
	}
}

func howDied(j *job) string {
	how := orWord(string(j.errType.v), "no error type")
	if j.exitCode.set {
		how += fmt.Sprintf(", exit code %d", j.exitCode.v)
	}
	return how
}

func funnelEmpty(r *renderer, say sayer) {
	for _, t := range r.d.tiers {
		if t.a == nil || t.status == WordPending {
			continue
		}
		c := &t.own.counts
		fetched, filtered := c[CountFetched], c[CountAfterFilter]
		missing, submitted, written := c[CountMissingInputs], c[CountSubmitted], c[CountWritten]
		over := t.status.rank() == rankTerminal
		input := fetched.n
		if filtered.set {
			input = filtered.n
		}
		switch {
		case fetched.set && fetched.n == 0 && over:
			say("warning", "warning", 0.9, 0, "", fmt.Sprintf("Tier %d fetched no documents: its source is empty.", t.num),
				fmt.Sprintf("Check that what feeds tier %d wrote its documents.", t.num))
		case fetched.n >= minFunnel && filtered.set && filtered.n == 0 && over:
			say("warning", "warning", 0.9, float64(fetched.n), "", fmt.Sprintf("The filters of tier %d removed all %d documents.", t.num, fetched.n),
				"Check the filters: they are too strict for this input.")
		case missing.n >= minFunnel && missing.n >= input:
			say("warning", "critical", 0.9, float64(missing.n), "", fmt.Sprintf("All %d documents of tier %d miss the inputs it needs.", missing.n, t.num),
				"Check the fields that the extractor before it writes.")
		case submitted.n >= minFunnel && written.set && written.n == 0 && over:
			say("warning", "critical", 1, float64(submitted.n), "", fmt.Sprintf("Tier %d submitted %d documents and wrote none: the engine failed.", t.num, submitted.n),
				"Read the errors of the engine and of the store that it writes to.")
		}
	}
}

func failedDocuments(r *renderer, say sayer) {
	if r.d.failedDocs == 0 {
		return
	}
	byType := map[string]int64{}
	done := int64(0)
	for _, t := range r.d.tiers {
		done += t.processed
		if t.a == nil {
			continue
		}
		for _, e := range t.a.errors {
			byType[e.key.errType] += max(e.total(), int64(len(e.docs)))
		}
	}
	types := make([]string, 0, len(byType))
	for name := range byType {
		types = append(types, name)
	}
	slices.SortFunc(types, func(a, b string) int { return cmp.Or(cmp.Compare(byType[b], byType[a]), strings.Compare(a, b)) })
	parts := make([]string, 0, 3)
	for _, name := range types[:min(3, len(types))] {
		parts = append(parts, fmt.Sprintf("%d by %s", byType[name], orWord(name, "an unnamed error")))
	}
	by := ""
	if len(parts) > 0 {
		by = ": " + strings.Join(parts, ", ")
	}
	severity := "warning"
	if r.d.failedDocs >= minDocs && r.d.failedDocs*10 >= done {
		severity = "critical"
	}
	say("warning", severity, 0.7, float64(r.d.failedDocs), "", count(r.d.failedDocs, "document")+" failed"+by+".",
		"Mend the most frequent cause first, then run the failed documents again.")
}

func retries(r *renderer, say sayer) {
	for _, t := range r.d.tiers {
		n := 0
		kinds := map[string]bool{}
		for _, j := range t.jobs {
			if j.superseded {
				n++
				kinds[string(j.j.errType.v)] = true
			}
		}
		switch {
		case n >= 2 && len(kinds) == 1:
			say("warning", "warning", 0.6, float64(n), "", fmt.Sprintf("In tier %d, %d Ray jobs failed alike and had to be submitted again: retries may hide a failing node.", t.num, n),
				"Compare the nodes on which the superseded jobs ran.")
		case n > 0:
			say("warning", "info", 0.4, float64(n), "", fmt.Sprintf("In tier %d, %s failed and had to be submitted again.", t.num, count(n, "Ray job")),
				"Look at the messages of the superseded jobs.")
		}
	}
}

func totalUnknown(r *renderer, say sayer) {
	for _, t := range r.d.tiers {
		if t.status == WordProcessing && !t.totalKnown && t.processed >= minDocs {
			say("optimization", "info", 0.2, float64(t.processed), "", fmt.Sprintf("Tier %d has processed %d documents of an unknown total: it shows no percentage and no estimate.", t.num, t.processed),
				"Report total_documents with the tier's progress.")
		}
	}
}

func overtaken(r *renderer, say sayer) {
	for _, t := range r.d.tiers {
		if t.overtaken() {
			say("warning", "info", 0.3, float64(t.processed), "",
				fmt.Sprintf("Tier %d reported %d documents processed of a total of %d; shown up to the total.", t.num, t.processed, t.total),
				"Report total_documents again when the tier's input grows.")
		}
	}
}

func clocksDisagree(r *renderer, say sayer) {
	worst, tier := int64(0), int32(0)
	for _, t := range r.d.tiers {
		if t.a == nil {
			continue
		}
		if before := t.a.words.firstOf(rankTerminal); !before.isZero() {
			for _, j := range t.jobs {
				if skew := j.start - before.Time; !j.superseded && j.start != 0 && j.status == WordSucceeded && skew > worst {
					worst, tier = skew, t.num
				}
			}
		}
	}
	if worst > clockSkew {
		say("warning", "info", 0.3, seconds(worst), "", fmt.Sprintf("The clocks of two producers disagree: tier %d was over %.0f s before its job began.", tier, seconds(worst)),
			"Synchronize the clocks of the orchestrator and the cluster.")
	}
}
