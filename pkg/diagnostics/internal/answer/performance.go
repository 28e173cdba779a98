package answer

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// performance summarizes a batch that has ended, in its present attempt.
func (r *renderer) performance() *PerformanceSummary {
	d, b := r.d, r.breakdown()
	s := &PerformanceSummary{
		TotalTimeSeconds: judge.Seconds(b.total), QueueSeconds: judge.Seconds(b.queue), ColdStartSeconds: judge.Seconds(b.cold),
		ProcessingSeconds: judge.Seconds(b.processing), HandOverSeconds: judge.Seconds(b.over), IdleSeconds: judge.Seconds(b.idle),
		Tiers: []TierPerformance{}, Bottlenecks: []string{},
	}
	for _, t := range d.Tiers {
		if d.Former(t) {
			continue
		}
		s.DocumentsProcessed = event.Plus(s.DocumentsProcessed, t.Processed)
		s.DocumentsFailed = event.Plus(s.DocumentsFailed, t.Failed)
		if t.Start == 0 || t.End == 0 {
			continue
		}
		p := TierPerformance{TierNum: int(t.Num), DurationSeconds: judge.Seconds(max(0, t.End-t.Start)), QueueSeconds: judge.Seconds(t.Queued())}
		p.DocsPerSecond = rateOf(t.Processed, t.End-t.Start)
		if b.total > 0 {
			p.PctOfTotal = round(min(100, p.DurationSeconds*100/s.TotalTimeSeconds))
		}
		s.Tiers = append(s.Tiers, p)
	}
	if rate := rateOf(s.DocumentsProcessed, b.total); rate != nil {
		s.ThroughputDocsPerSecond = *rate
	}
	s.Phases = r.phaseTimes()
	s.Stages = stages(d)
	for _, st := range s.Stages {
		if st.PctOfTotal >= dominantPct && !slices.Contains(s.Bottlenecks, st.StageName) {
			s.Bottlenecks = append(s.Bottlenecks, st.StageName)
		}
	}
	return s
}

// phaseTimes sums up the phases of the jobs.
func (r *renderer) phaseTimes() []PhaseTime {
	var sums [view.PhaseWorking + 1]PhaseTime
	for _, j := range r.d.Jobs {
		if r.d.FormerJob(j) {
			continue
		}
		seen := [view.PhaseWorking + 1]bool{}
		for _, p := range j.Phases() {
			sum := &sums[p.Kind]
			sum.JobSeconds += judge.Seconds(max(0, cmp.Or(p.To, r.end(), r.asOf)-p.From))
			if !seen[p.Kind] {
				seen[p.Kind] = true
				sum.Jobs++
			}
		}
	}
	out := []PhaseTime{}
	for kind, s := range sums {
		if s.Jobs > 0 {
			s.Phase = view.Phase(kind).String()
			out = append(out, s)
		}
	}
	return out
}

// dominantPct is the share of all stage time from which a stage counts as a bottleneck.
const dominantPct = 30

// stages adds up the measurements of the workers by stage and component, for the highest attempt of each tier.
func stages(d *judge.Derived) []StagePerformance {
	type key struct{ stage, component string }
	sums := map[key]*stageSum{}
	total := 0.0
	for _, t := range d.Tiers {
		if t.AttemptState == nil || d.Former(t) {
			continue
		}
		for _, s := range t.AttemptState.Stages {
			k := key{s.Key.Stage, s.Key.Component}
			if sums[k] == nil {
				sums[k] = &stageSum{buckets: map[float64]bucketSum{}}
			}
			sums[k].add(s)
			total += event.Millis(s.TotalMS)
		}
	}
	out := make([]StagePerformance, 0, len(sums))
	for k, s := range sums {
		p := StagePerformance{
			StageName: k.stage, Component: k.component, ExecutionCount: s.count, TotalTimeMS: s.totalMS, MaxTimeMS: s.maxMS,
		}
		q, off := s.quantiles(0.50, 0.95, 0.99)
		p.P50MS, p.P95MS, p.P99MS, p.QuantileError = q[0], q[1], q[2], off
		if s.count > 0 {
			p.AvgTimeMS = round(s.totalMS / float64(s.count))
		}
		if total > 0 {
			p.PctOfTotal = round(s.totalMS * 100 / total)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b StagePerformance) int {
		return cmp.Or(cmp.Compare(b.TotalTimeMS, a.TotalTimeMS), cmp.Compare(a.StageName, b.StageName), cmp.Compare(a.Component, b.Component))
	})
	for i := range out {
		out[i].Rank = i + 1
	}
	return out
}

// stageSum adds up histograms of workers, whose bucket bounds may differ.
type stageSum struct {
	count          int64
	totalMS, maxMS float64
	buckets        map[float64]bucketSum // by upper bound; +Inf has what is beyond a worker's last bucket
}

// bucketSum is the number of executions in buckets of one upper bound, and the least of the lower bounds.
type bucketSum struct {
	n     int64
	lower float64
}

func (s *stageSum) add(o *view.StageState) {
	s.count = event.Plus(s.count, o.Count.N)
	s.totalMS += event.Millis(o.TotalMS)
	s.maxMS = max(s.maxMS, o.MaxMS)
	lower, all := 0.0, int64(0)
	for _, b := range o.Buckets {
		s.put(b.UpperMS, lower, b.Count)
		lower, all = b.UpperMS, event.Plus(all, b.Count)
	}
	if len(o.Buckets) > 0 {
		s.put(math.Inf(1), lower, o.Count.N-all)
	}
}

func (s *stageSum) put(upper, lower float64, n int64) {
	if n <= 0 {
		return
	}
	b, there := s.buckets[upper]
	if !there {
		b.lower = lower
	}
	s.buckets[upper] = bucketSum{event.Plus(b.n, n), min(b.lower, lower)}
}

// quantiles estimates for each q the time of the q-th execution by linear interpolation within its bucket, and the largest
// possible error. The sum of all times and the longest time narrow the bucket, so that no quantile contradicts the mean. A
// quantile beyond the last bucket is nil unless the longest time was reported; so is one without buckets.
func (s *stageSum) quantiles(qs ...float64) (values []*float64, most *float64) {
	values = make([]*float64, len(qs))
	uppers := slices.Sorted(maps.Keys(s.buckets))
	all := int64(0)
	for _, b := range s.buckets {
		all = event.Plus(all, b.n)
	}
	for i, q := range qs {
		rank := max(1, int64(math.Ceil(q*float64(all))))
		at, below := 0, int64(0)
		for ; at < len(uppers) && below+s.buckets[uppers[at]].n < rank; at++ {
			below += s.buckets[uppers[at]].n
		}
		if at == len(uppers) {
			continue
		}
		low, high := s.bounds(uppers, at, rank, all)
		if math.IsInf(high, 1) {
			continue
		}
		value := low + (high-low)*(float64(rank-below)-0.5)/float64(s.buckets[uppers[at]].n)
		if i > 0 && values[i-1] != nil {
			value = max(value, *values[i-1])
		}
		values[i] = &value
		if off := max(value-low, high-value); most == nil || off > *most {
			most = &off
		}
	}
	return values, most
}

// bounds are the shortest and the longest time that the execution of a rank, in the bucket at, can have taken.
func (s *stageSum) bounds(uppers []float64, at int, rank, all int64) (low, high float64) {
	high, low = uppers[at], math.Inf(1)
	for _, u := range uppers[at:] { // bounds of several workers may overlap
		low = min(low, s.buckets[u].lower)
	}
	if s.maxMS > 0 {
		low, high = min(low, s.maxMS), min(high, s.maxMS)
	}
	if all != s.count || s.totalMS <= 0 {
		return low, high
	}
	least, mostAbove := 0.0, 0.0 // of the executions before it, and after it
	left, after := rank-1, all-rank
	for _, b := range slices.SortedFunc(maps.Values(s.buckets), func(a, b bucketSum) int { return cmp.Compare(a.lower, b.lower) }) {
		n := min(left, b.n)
		least, left = least+float64(n)*b.lower, left-n
	}
	for i := len(uppers) - 1; i >= 0; i-- {
		n := min(after, s.buckets[uppers[i]].n)
		if top := uppers[i]; n > 0 {
			if s.maxMS > 0 {
				top = min(top, s.maxMS)
			}
			mostAbove += float64(n) * top
		}
		after -= n
	}
	if h := (s.totalMS - least) / float64(all-rank+1); h >= low {
		high = min(high, h)
	}
	if l := (s.totalMS - mostAbove) / float64(rank); l <= high {
		low = max(low, l)
	}
	return low, high
}
