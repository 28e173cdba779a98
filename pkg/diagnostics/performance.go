package diagnostics

import (
	"cmp"
	"math"
	"slices"
)

// performance sums up a batch that is over. Queueing is time in which a tier's jobs only waited for
// Ray; cold start the time from a job's start to its tier's first progress.
func (r *renderer) performance() *PerformanceSummary {
	d := r.d
	s := &PerformanceSummary{Tiers: []TierPerformance{}, Stages: []StagePerformance{}, Bottlenecks: []string{}}
	if total := r.duration(d.start, d.end); total != nil {
		s.TotalTimeSeconds = *total
	}
	s.DocumentsFailed = d.failedDocs
	for _, t := range d.tiers {
		s.DocumentsProcessed += t.processed
		if t.start == 0 || t.end == 0 {
			continue
		}
		p := TierPerformance{TierNum: int(t.num), DurationSeconds: seconds(max(0, t.end-t.start))}
		submitted, started := int64(math.MaxInt64), int64(math.MaxInt64)
		for _, j := range t.jobs {
			submitted = min(submitted, j.submitted)
			if j.start != 0 {
				started = min(started, j.start)
			}
		}
		if started != math.MaxInt64 && started > submitted {
			p.QueueSeconds = seconds(started - submitted)
		}
		if first := t.firstPoint(); first > t.start {
			s.ColdStartSeconds += seconds(first - t.start)
		}
		if p.DurationSeconds > 0 {
			p.DocsPerSecond = round(float64(t.processed) / p.DurationSeconds)
		}
		if s.TotalTimeSeconds > 0 {
			p.PctOfTotal = round(min(100, p.DurationSeconds*100/s.TotalTimeSeconds))
		}
		s.QueueSeconds += p.QueueSeconds
		s.ProcessingSeconds += p.DurationSeconds
		s.Tiers = append(s.Tiers, p)
	}
	s.ProcessingSeconds = max(0, s.ProcessingSeconds-s.ColdStartSeconds)
	if s.TotalTimeSeconds > 0 {
		s.ThroughputDocsPerSecond = round(float64(s.DocumentsProcessed) / s.TotalTimeSeconds)
	}
	s.Stages = d.stages()
	for _, st := range s.Stages {
		if st.PctOfTotal >= dominantPct {
			s.Bottlenecks = append(s.Bottlenecks, st.StageName)
		}
	}
	return s
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
	if t.a != nil {
		look(t.a.series)
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
			total += s.totalMS
		}
	}
	out := make([]StagePerformance, 0, len(sums))
	for k, s := range sums {
		p := StagePerformance{
			StageName: k.stage, Component: k.component, ExecutionCount: s.count, TotalTimeMS: s.totalMS, MaxTimeMS: s.maxMS,
			P50MS: s.quantile(0.50), P95MS: s.quantile(0.95), P99MS: s.quantile(0.99),
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
	s.count += o.count.n
	s.totalMS += o.totalMS
	s.maxMS = max(s.maxMS, o.maxMS)
	for _, b := range o.buckets {
		s.buckets[b.UpperMS] += b.Count
	}
}

// quantile is the upper bound of the bucket in which the q-th execution fell; nil without buckets. The
// truth is at most one bucket's width below it.
func (s *stageSum) quantile(q float64) *float64 {
	if len(s.buckets) == 0 {
		return nil
	}
	uppers := make([]float64, 0, len(s.buckets))
	all := int64(0)
	for u, n := range s.buckets {
		uppers = append(uppers, u)
		all += n
	}
	slices.Sort(uppers)
	rank := int64(math.Ceil(q * float64(max(all, 1))))
	below := int64(0)
	for _, u := range uppers {
		if below += s.buckets[u]; below >= rank {
			return &u
		}
	}
	return &uppers[len(uppers)-1]
}
