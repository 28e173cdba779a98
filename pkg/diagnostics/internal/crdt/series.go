package crdt

import (
	"cmp"
	"slices"
)

// Series keeps the greatest count of each time bucket that has a report. The bucket width is the smallest power of two seconds
// that leaves at most limit (128, for workers fewer) buckets. Wider buckets are never more, so the width depends on the set of
// reports alone.
type Series struct {
	Shift  uint8 // bucket width is 1<<shift seconds
	Points []Point
}

// Point is the greatest count reported within a bucket of time.
type Point struct{ Bucket, N int64 }

// Add adds a count at a time, in nanoseconds, and reports whether anything changed.
func (s *Series) Add(t, n int64, limit int) bool {
	return s.Put(t/1e9>>s.Shift, n, limit)
}

// Put is Add by the number of the bucket.
func (s *Series) Put(bucket, n int64, limit int) bool {
	i := len(s.Points)
	if i > 0 && s.Points[i-1].Bucket > bucket {
		i, _ = slices.BinarySearchFunc(s.Points, bucket, func(p Point, b int64) int { return cmp.Compare(p.Bucket, b) })
	} else if i > 0 && s.Points[i-1].Bucket == bucket { // as nearly always
		i--
	}
	if i < len(s.Points) && s.Points[i].Bucket == bucket {
		if n <= s.Points[i].N {
			return false
		}
		s.Points[i].N = n
		return true
	}
	s.Points = slices.Insert(s.Points, i, Point{bucket, n})
	s.Fit(limit)
	return true
}

// Fit widens the buckets until there are at most limit of them.
func (s *Series) Fit(limit int) {
	for len(s.Points) > limit {
		s.coarsen(s.Shift + 1)
	}
}

func (s *Series) coarsen(shift uint8) {
	by := shift - s.Shift
	s.Shift = shift
	kept := s.Points[:0]
	for _, p := range s.Points {
		p.Bucket >>= by
		if k := len(kept); k > 0 && kept[k-1].Bucket == p.Bucket {
			kept[k-1].N = max(kept[k-1].N, p.N)
			continue
		}
		kept = append(kept, p)
	}
	s.Points = kept
}

// Join adds the points of another.
func (s *Series) Join(o Series, limit int) {
	if o.Shift > s.Shift {
		s.coarsen(o.Shift)
	}
	for _, p := range o.Points {
		s.Put(p.Bucket>>(s.Shift-o.Shift), p.N, limit)
	}
}

// Width is the bucket width in seconds.
func (s *Series) Width() int64 { return 1 << s.Shift }
