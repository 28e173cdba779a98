package diagnostics

import (
	"cmp"
	"slices"
)

// series keeps, for each time bucket with a word in it, the greatest count said. The bucket width is
// the smallest power of two seconds that leaves at most limit (128, of workers fewer) buckets: coarsening never reveals more
// buckets, so the width depends on the set of words alone.
type series struct {
	shift  uint8 // bucket width is 1<<shift seconds
	points []point
}

type point struct{ bucket, n int64 }

func (s *series) add(t, n int64, limit int) bool {
	return s.put(t/1e9>>s.shift, n, limit)
}

func (s *series) put(bucket, n int64, limit int) bool {
	i := len(s.points)
	if i > 0 && s.points[i-1].bucket >= bucket {
		i, _ = slices.BinarySearchFunc(s.points, bucket, func(p point, b int64) int { return cmp.Compare(p.bucket, b) })
	}
	if i < len(s.points) && s.points[i].bucket == bucket {
		if n <= s.points[i].n {
			return false
		}
		s.points[i].n = n
		return true
	}
	s.points = slices.Insert(s.points, i, point{bucket, n})
	s.fit(limit)
	return true
}

// fit widens the buckets until there are at most limit of them.
func (s *series) fit(limit int) {
	for len(s.points) > limit {
		s.coarsen(s.shift + 1)
	}
}

func (s *series) coarsen(shift uint8) {
	by := shift - s.shift
	s.shift = shift
	kept := s.points[:0]
	for _, p := range s.points {
		p.bucket >>= by
		if k := len(kept); k > 0 && kept[k-1].bucket == p.bucket {
			kept[k-1].n = max(kept[k-1].n, p.n)
			continue
		}
		kept = append(kept, p)
	}
	s.points = kept
}

func (s *series) join(o series, limit int) {
	if o.shift > s.shift {
		s.coarsen(o.shift)
	}
	for _, p := range o.points {
		s.put(p.bucket>>(s.shift-o.shift), p.n, limit)
	}
}

// width is the bucket width in seconds.
func (s *series) width() int64 { return 1 << s.shift }
