package answer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// The error of a quantile is at most the one that is reported, whatever bucket bounds each worker uses, and quantiles don't
// contradict the mean.
func TestQuantilesBoundTheTruth(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		sum := stageSum{buckets: map[float64]bucketSum{}}
		var truth []float64
		longest := 0.0
		for range 1 + r.IntN(4) {
			var bounds []float64
			for range r.IntN(6) {
				bounds = append(bounds, float64(1+r.IntN(1000)))
			}
			slices.Sort(bounds)
			bounds = slices.Compact(bounds)
			counts := make([]int64, len(bounds))
			w := &view.StageState{}
			for range r.IntN(50) {
				ms := r.Float64() * 1200
				longest = max(longest, ms)
				if len(bounds) == 0 {
					continue // a worker without buckets doesn't count towards the quantiles
				}
				truth = append(truth, ms)
				w.Count.N++
				w.TotalMS += ms
				if i, _ := slices.BinarySearch(bounds, ms); i < len(bounds) {
					counts[i]++
				}
			}
			for i, n := range counts {
				if n > 0 || r.IntN(2) == 0 { // empty ones may be left out
					w.Buckets = append(w.Buckets, event.Bucket{UpperMS: bounds[i], Count: n})
				}
			}
			if len(w.Buckets) == 0 && w.Count.N > 0 {
				w.Buckets = []event.Bucket{{UpperMS: bounds[0]}}
			}
			sum.add(w)
		}
		if r.IntN(2) == 0 {
			sum.maxMS = longest
		}
		slices.Sort(truth)
		qs := []float64{0.5, 0.95, 0.99}
		values, most := sum.quantiles(qs...)
		for i, v := range values {
			if len(truth) == 0 {
				if v != nil {
					t.Fatalf("seed %d: %v of nothing", seed, *v)
				}
				continue
			}
			exact := truth[int(math.Ceil(qs[i]*float64(len(truth))))-1]
			switch {
			case v == nil && sum.maxMS == 0: // it may be beyond every bucket
			case v == nil:
				t.Fatalf("seed %d: nothing said of q %v, which is %v", seed, qs[i], exact)
			case math.Abs(*v-exact) > *most+1e-6:
				t.Fatalf("seed %d: q %v is %v, said are %v and at most %v off", seed, qs[i], exact, *v, *most)
			case *v*float64(len(truth)-int(math.Ceil(qs[i]*float64(len(truth))))+1) > sum.totalMS+1e-6:
				t.Fatalf("seed %d: q %v is said to be %v: so many can't add up to %v", seed, qs[i], *v, sum.totalMS)
			}
		}
	}
}
