package ingest

import (
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// other is the label value of what has no value of its own: namespaces beyond the limit, and codes that this version doesn't
// know. No namespace and no code can have this name.
const other = "(other)"

// batches collects, at each scrape, the censuses of the partitions that this process owns. Each partition has one owner, so
// the numbers of several processes add up.
type batches struct {
	limit int // of namespaces with a label value of their own

	mu         sync.Mutex
	partitions map[*partition]struct{}
	serves     bool // the fold version of this process is the one that serves: otherwise another one's processes count the same batches

	count, covered, rest *prometheus.Desc
}

func newBatches(limit int) *batches {
	return &batches{
		limit: max(0, limit), partitions: map[*partition]struct{}{},
		count: prometheus.NewDesc("headway_batches", "Batches that aren't over, by health and by the code of the cause, as their list rows say. See docs/runbooks/HeadwayBatchesStuck.md.",
			[]string{"namespace", "health", "code"}, nil),
		covered: prometheus.NewDesc("headway_batches_partitions", "Partitions whose batches headway_batches counts here.", nil, nil),
		rest:    prometheus.NewDesc("headway_batches_other_namespaces", "Namespaces that headway_batches counts under one label value, because there are too many.", nil, nil),
	}
}

func (b *batches) Describe(to chan<- *prometheus.Desc) {
	to <- b.count
	to <- b.covered
	to <- b.rest
}

func (b *batches) Collect(to chan<- prometheus.Metric) {
	counts, covered, rest := b.sum()
	for s, n := range counts {
		to <- prometheus.MustNewConstMetric(b.count, prometheus.GaugeValue, float64(n), s.namespace, s.health.String(), s.code)
	}
	to <- prometheus.MustNewConstMetric(b.covered, prometheus.GaugeValue, float64(covered))
	to <- prometheus.MustNewConstMetric(b.rest, prometheus.GaugeValue, float64(rest))
}

// sum adds up the partitions that are complete and have been counted, and how many of them there are.
func (b *batches) sum() (counts map[standing]int, covered, rest int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts = map[standing]int{}
	if !b.serves {
		return counts, 0, 0
	}
	for p := range b.partitions {
		if p.state.Load().complete && p.census.each(func(s standing, n int) { counts[s] += n }) {
			covered++
		}
	}
	names := map[string]struct{}{}
	for s := range counts {
		names[s.namespace] = struct{}{}
	}
	if rest = len(names) - b.limit; rest <= 0 {
		return counts, covered, 0
	}
	// The first names in order keep their own value, so that it doesn't depend on when or where a namespace was seen.
	for _, name := range slices.Sorted(maps.Keys(names))[:b.limit] {
		delete(names, name)
	}
	summed := make(map[standing]int, len(counts))
	for s, n := range counts {
		if _, over := names[s.namespace]; over {
			s.namespace = other
		}
		summed[s] += n
	}
	return summed, covered, rest
}

func (b *batches) add(p *partition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.partitions[p] = struct{}{}
}

func (b *batches) remove(p *partition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.partitions, p)
}

func (b *batches) serve(serves bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serves = serves
}
