package answer

import (
	"cmp"
	"fmt"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// The rules that rest on times and rates.

func (r *renderer) elapsed() int64 {
	if r.d.Start == 0 {
		return 0
	}
	return max(0, cmp.Or(r.end(), r.asOf)-r.d.Start)
}

func stageDominates(r *renderer, say sayer) {
	byTime := stages(r.d)
	if len(byTime) < 2 || byTime[0].ExecutionCount < minRuns {
		return
	}
	all := 0.0
	for _, s := range byTime {
		all += s.TotalTimeMS
	}
	if s := byTime[0]; all >= minStageMS && s.PctOfTotal >= dominantTime*100 && s.TotalTimeMS >= dominantLead*byTime[1].TotalTimeMS {
		say("bottleneck", "warning", s.PctOfTotal/100, s.PctOfTotal, s.StageName,
			fmt.Sprintf("The stage %s takes %.0f %% of all stage time (%d executions, %.0f ms on average).", s.StageName, s.PctOfTotal, s.ExecutionCount, s.AvgTimeMS),
			fmt.Sprintf("Speed up the stage %s first: more workers for it, larger batches, or a cheaper model.", s.StageName))
	}
}

func tierDominates(r *renderer, say sayer) {
	total := r.elapsed()
	if total < minSpan || len(r.d.Tiers) < 2 || r.d.Status.Rank() != event.RankTerminal {
		return // while it runs, the tiers that are over always dominate
	}
	var longest *judge.Tier
	next := int64(0) // the longest of the others
	for _, t := range r.d.Tiers {
		switch took := t.Took(); {
		case r.d.Former(t):
		case longest == nil || took > longest.Took():
			if longest != nil {
				next = longest.Took()
			}
			longest = t
		default:
			next = max(next, took)
		}
	}
	if t := longest; t != nil {
		if share := float64(t.Took()) / float64(total); share >= dominantTime && share <= 1 && float64(t.Took()) >= dominantLead*float64(next) {
			say("bottleneck", "info", share, round(share*100), "", fmt.Sprintf("%s takes %.0f %% of the batch's time (%s).", r.tierNameBegin(t.Num), share*100, lasted(t.Took())),
				fmt.Sprintf("Give %s more workers before any other.", r.tierName(t.Num)))
		}
	}
}

// waitingDominates: waiting for Ray, and cold start, against all time so far.
func waitingDominates(r *renderer, say sayer) {
	if r.d.Status.Rank() != event.RankTerminal {
		return // while it runs, the cause says what is waited for
	}
	b := r.breakdown()
	if b.total < minSpan {
		return
	}
	if share := float64(b.queue) / float64(b.total); b.queue >= minSpan && share >= waitShare {
		say("bottleneck", "warning", share, judge.Seconds(b.queue), "", fmt.Sprintf("Waiting for jobs to start took %s, %.0f %% of the time.", lasted(b.queue), share*100),
			"To wait less, keep a few workers warm, or raise the cluster's least number of nodes.")
	}
	if share := float64(b.cold) / float64(b.total); b.cold >= minSpan && share >= waitShare && r.d.FailedTiers == 0 {
		say("bottleneck", "warning", share, judge.Seconds(b.cold), "", fmt.Sprintf("Cold start took at least %s, %.0f %% of the time: jobs ran, and had processed nothing yet.", lasted(b.cold), share*100),
			"To start faster, bake models and dependencies into the image, or reuse warm workers.")
	}
}

// rate of a job in documents per second, from its own count.
func (r *renderer) rate(j *judge.Job) float64 {
	end := j.End
	if end == 0 { // as of its latest word: a rate that sinks by itself while nothing is said is no finding
		end = j.State.Last
	}
	if j.Start == 0 || end-j.Start < minSpan {
		return 0
	}
	return float64(j.State.Processed.N) / judge.Seconds(end-j.Start)
}

func skewedExtractors(r *renderer, say sayer) {
	for _, t := range r.d.Tiers {
		var fast, slow *judge.Job
		for _, j := range t.Jobs {
			if j.Superseded || !j.State.Extractor.Set || j.State.Processed.N < leastPaceDocs || r.rate(j) == 0 {
				continue
			}
			if fast == nil || r.rate(j) > r.rate(fast) {
				fast = j
			}
			if slow == nil || r.rate(j) < r.rate(slow) {
				slow = j
			}
		}
		if fast == nil || fast.State.Extractor.V == slow.State.Extractor.V || fast.State.Processed.N < minSkewDocs {
			continue
		}
		if ratio := r.rate(fast) / r.rate(slow); ratio >= skewRatio {
			say("bottleneck", "warning", 1-1/ratio, round(ratio), string(slow.State.Extractor.V),
				fmt.Sprintf("In %s the extractor %s is %.1f times slower than %s (%.2f against %.2f documents/s).", r.tierName(t.Num), slow.State.Extractor.V, ratio, fast.State.Extractor.V, r.rate(slow), r.rate(fast)),
				fmt.Sprintf("Give the extractor %s more workers: %s waits for it.", slow.State.Extractor.V, r.tierName(t.Num)))
		}
	}
}

// slowWorker compares the average times of the workers that measured the same stage.
func slowWorker(r *renderer, say sayer) {
	type key struct{ stage, component string }
	for _, t := range r.d.Tiers {
		if t.AttemptState == nil {
			continue
		}
		sums := map[key]*view.StageState{}
		workers := map[key]int{}
		slowest := map[key]*view.StageState{}
		for _, s := range t.AttemptState.Stages {
			if s.Count.N < minRuns {
				continue
			}
			k := key{s.Key.Stage, s.Key.Component}
			workers[k]++
			if sums[k] == nil {
				sums[k] = &view.StageState{}
			}
			sums[k].Count.N = event.Plus(sums[k].Count.N, s.Count.N)
			sums[k].TotalMS += event.Millis(s.TotalMS)
			if o := slowest[k]; o == nil || s.TotalMS/float64(s.Count.N) > o.TotalMS/float64(o.Count.N) {
				slowest[k] = s
			}
		}
		for _, s := range t.AttemptState.Stages { // in order of keys, so that the answer is stable
			k := key{s.Key.Stage, s.Key.Component}
			if slowest[k] != s || workers[k] < 3 {
				continue
			}
			others := (sums[k].TotalMS - event.Millis(s.TotalMS)) / float64(sums[k].Count.N-s.Count.N)
			if own := event.Millis(s.TotalMS) / float64(s.Count.N); others > 0 && own/others >= skewRatio {
				say("bottleneck", "warning", 0.5, round(own/others), s.Key.Stage,
					fmt.Sprintf("Worker %s takes %.1f times as long for %s as the others in %s (%.0f against %.0f ms).", s.Key.Worker, own/others, s.Key.Stage, r.tierName(t.Num), own, others),
					fmt.Sprintf("Look at the node of worker %s: it may be throttled, shared or failing.", s.Key.Worker))
			}
		}
	}
}

func slowing(r *renderer, say sayer) {
	for _, t := range r.d.Open {
		if t.AttemptState == nil || t.Status != event.WordProcessing {
			continue
		}
		pts := t.Own.Series.Points
		if len(pts) < 8 {
			continue
		}
		width := t.Own.Series.Width()
		third := len(pts) / 3
		first, last := pts[third].N-pts[0].N, pts[len(pts)-1].N-pts[len(pts)-1-third].N
		firstSpan := (pts[third].Bucket - pts[0].Bucket) * width
		lastSpan := (pts[len(pts)-1].Bucket - pts[len(pts)-1-third].Bucket) * width
		if first < minDocs || (firstSpan+lastSpan)*1e9 < minSlowSpan || lastSpan == 0 || firstSpan == 0 {
			continue
		}
		before, now := float64(first)/float64(firstSpan), float64(last)/float64(lastSpan)
		if last >= leastPaceDocs && now < before*slowRatio && !r.still(t) { // what stands still isn't slow
			say("bottleneck", "warning", 1-now/before, round(now), "", fmt.Sprintf("%s is slowing down: %.2f documents/s now, %.2f at its start.", r.tierNameBegin(t.Num), now, before),
				fmt.Sprintf("Look in %s for a store that throttles, memory that swaps, or documents that grow.", r.tierName(t.Num)))
		}
	}
}

// slowerThanBefore compares a tier with its own earlier attempt.
func slowerThanBefore(r *renderer, say sayer) {
	for _, t := range r.d.Tiers {
		if t.AttemptState == nil || len(t.State.Attempts) < 2 {
			continue
		}
		now, enough := attemptRate(t.AttemptState)
		if !enough {
			continue
		}
		best, of := 0.0, int32(0)
		for _, a := range t.State.Attempts {
			if rate, ok := attemptRate(a); ok && a.Num < t.Attempt && rate > best {
				best, of = rate, a.Num
			}
		}
		if now < best*slowRatio {
			say("bottleneck", "warning", 1-now/best, round(now), "", fmt.Sprintf("%s runs at %.2f documents/s, at %.2f in its attempt %d.", r.tierNameBegin(t.Num), now, best, of),
				fmt.Sprintf("Compare the nodes and the input of attempts %d and %d of %s.", of, t.Attempt, r.tierName(t.Num)))
		}
	}
}

// attemptRate is an attempt's documents per second, from its first progress to its last.
func attemptRate(a *view.TierAttempt) (rate float64, enough bool) {
	own := a.Tally()
	c := judge.CurveOf(own.Series, own.Processed)
	if len(c) < 2 {
		return 0, false
	}
	n, span := c[len(c)-1].N-c[0].N, c[len(c)-1].At-c[0].At
	return float64(n) / judge.Seconds(span), n >= minDocs && span >= minSpan
}

func handOver(r *renderer, say sayer) {
	for i := 1; i < len(r.d.Tiers); i++ {
		before, t := r.d.Tiers[i-1], r.d.Tiers[i]
		if before.End == 0 || t.End == 0 || t.Start == 0 || t.Num != before.Num+1 || r.d.Former(before) != r.d.Former(t) {
			continue
		}
		gap, work := t.Start-before.End, t.End-t.Start
		if gap >= minSpan && work > 0 && gap > work {
			sooner := fmt.Sprintf("Begin %s sooner after %s has ended.", r.tierName(t.Num), r.tierName(before.Num))
			if len(t.Jobs) > 0 {
				sooner = fmt.Sprintf("Submit the job of %s before %s ends, or keep its workers warm.", r.tierName(t.Num), r.tierName(before.Num))
			}
			say("bottleneck", "info", 0.4, judge.Seconds(gap), "", fmt.Sprintf("%s began %s after %s had ended: that is longer than its work of %s.", r.tierNameBegin(t.Num), lasted(gap), r.tierName(before.Num), lasted(work)), sooner)
		}
	}
}
