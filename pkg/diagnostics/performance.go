package diagnostics

import (
	"cmp"
	"math"
	"slices"
)

// performance sums up a batch that is over.
func (r *renderer) performance() *PerformanceSummary {
	d, b := r.d, r.breakdown()
	s := &PerformanceSummary{
		TotalTimeSeconds: seconds(b.total), QueueSeconds: seconds(b.queue), ColdStartSeconds: seconds(b.cold),
		ProcessingSeconds: seconds(b.processing), HandOverSeconds: seconds(b.over), IdleSeconds: seconds(b.idle),
		DocumentsFailed: d.failedDocs, Tiers: []TierPerformance{}, Bottlenecks: []string{},
	}
	for _, t := range d.tiers {
		s.DocumentsProcessed = plus(s.DocumentsProcessed, t.processed)
		if t.start == 0 || t.end == 0 {
			continue
		}
		p := TierPerformance{TierNum: int(t.num), DurationSeconds: seconds(max(0, t.end-t.start)), QueueSeconds: seconds(t.queued())}
		if p.DurationSeconds > 0 {
			p.DocsPerSecond = round(float64(t.processed) / p.DurationSeconds)
		}
		if b.total > 0 {
			p.PctOfTotal = round(min(100, p.DurationSeconds*100/s.TotalTimeSeconds))
		}
		s.Tiers = append(s.Tiers, p)
	}
	if b.total > 0 {
		s.ThroughputDocsPerSecond = round(float64(s.DocumentsProcessed) / s.TotalTimeSeconds)
	}
	s.Stages = d.stages()
	for _, st := range s.Stages {
		if st.PctOfTotal >= dominantPct && !slices.Contains(s.Bottlenecks, st.StageName) {
			s.Bottlenecks = append(s.Bottlenecks, st.StageName)
		}
	}
	return s
}

// queued is the time from the first submission of a tier's job to the first start of one.
func (t *derivedTier) queued() int64 {
	submitted, started := int64(math.MaxInt64), int64(math.MaxInt64)
	for _, j := range t.jobs {
		submitted = min(submitted, j.submitted)
		if j.start != 0 {
			started = min(started, j.start)
		}
	}
	if started == math.MaxInt64 {
		return 0
	}
	return max(0, started-submitted)
}

// dominantPct is the share of all stage time from which a stage counts as a bottleneck.
const dominantPct = 30

// firstPoint is the begin of the first time bucket in which the tier had processed something.
func (t *derivedTier) firstPoint() int64 {
	first := int64(0)
	look := func(s series) {
		for _, p := range s.points {
			if at := p.bucket << s.shift * 1e9; p.n > 0 && (first == 0 || at < first) {
				first = at
			}
		}
	}
	if t.own != nil {
		look(t.own.series)
	}
	for _, j := range t.jobs {
		look(j.j.series)
	}
	return first
}

// stages joins what the workers measured, by stage and component, over the tiers' highest attempts.
func (d *derived) stages() []StagePerformance {
	type key struct{ stage, component string }
	sums := map[key]*stageSum{}
	total := 0.0
	for _, t := range d.tiers {
		if t.a == nil {
			continue
		}
		for _, s := range t.a.stages {
			k := key{s.key.stage, s.key.component}
			if sums[k] == nil {
				sums[k] = &stageSum{buckets: map[float64]int64{}}
			}
			sums[k].add(s)
			total += millis(s.totalMS)
		}
	}
	out := make([]StagePerformance, 0, len(sums))
	for k, s := range sums {
		p := StagePerformance{
			StageName: k.stage, Component: k.component, ExecutionCount: s.count, TotalTimeMS: s.totalMS, MaxTimeMS: s.maxMS,
		}
		if q := s.quantiles(0.50, 0.95, 0.99); q != nil {
			p.P50MS, p.P95MS, p.P99MS, p.QuantileError = &q[0], &q[1], &q[2], &q[3]
		}
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

type stageSum struct {
	count          int64
	totalMS, maxMS float64
	buckets        map[float64]int64
}

func (s *stageSum) add(o *stageState) {
	s.count = plus(s.count, o.count.n)
	s.totalMS += millis(o.totalMS)
	s.maxMS = max(s.maxMS, o.maxMS)
	for _, b := range o.buckets {
		s.buckets[b.UpperMS] = plus(s.buckets[b.UpperMS], b.Count)
	}
}

// quantiles gives for each q, ascending, the upper bound of the bucket in which the q-th execution fell, but
// no more than the longest execution; and after them the greatest width of such a bucket, which is the most
// by which one of them can be above the truth. nil without buckets.
func (s *stageSum) quantiles(qs ...float64) []float64 {
	if len(s.buckets) == 0 {
		return nil
	}
	uppers := make([]float64, 0, len(s.buckets))
	all := int64(0)
	for u, n := range s.buckets {
		uppers = append(uppers, u)
		all = plus(all, n)
	}
	slices.Sort(uppers)
	all = max(all, s.count, 1) // executions beyond the last bucket are known by the longest alone
	out, widest := make([]float64, 0, len(qs)+1), 0.0
	for _, q := range qs {
		rank := int64(math.Ceil(q * float64(all)))
		lower, upper, below := 0.0, math.Inf(1), int64(0)
		for _, u := range uppers {
			if below = plus(below, s.buckets[u]); below >= rank {
				upper = u
				break
			}
			lower = u
		}
		if s.maxMS > 0 {
			upper = min(upper, s.maxMS)
		} else if math.IsInf(upper, 1) {
			upper = lower
		}
		out = append(out, upper)
		widest = max(widest, upper-lower)
	}
	return append(out, widest)
}
