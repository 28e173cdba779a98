package crdt

import (
	"cmp"
	"slices"
	"strings"
)

// Key orders the entries of a bounded set.
type Key[K any] interface {
	Compare(other K) int
	// Short is a key that isn't greater and has only short parts. It keeps the order of keys, but two keys may become equal.
	Short() K
}

// Cut is where a bounded set ends: nothing from this key on is kept. It only ever moves down, so what is kept doesn't
// depend on the order in which entries arrived.
type Cut[K Key[K]] struct {
	From K
	Set  bool
}

// Excludes reports that a key isn't kept.
func (c *Cut[K]) Excludes(k K) bool { return c.Set && k.Compare(c.From) >= 0 }

// Lower lowers the cut to k, if that is lower, and reports whether it did.
func (c *Cut[K]) Lower(k K) bool {
	if k = k.Short(); c.Excludes(k) {
		return false
	}
	c.From, c.Set = k, true
	return true
}

// Smallest returns the entry with key k of a sorted set, made in its place if there is none. It keeps the smallest keys, at most limit
// of them (0: any number) and none beyond the cut: for such a key e is nil. changed reports a change of the set or its cut.
func Smallest[T any, K Key[K]](s *[]*T, cut *Cut[K], limit int, k K, key func(*T) K, create func() *T) (e *T, changed bool) {
	if cut.Excludes(k) {
		return nil, false
	}
	i, found := slices.BinarySearchFunc(*s, k, func(e *T, k K) int { return key(e).Compare(k) })
	if found {
		return (*s)[i], false
	}
	*s = slices.Insert(*s, i, create())
	if limit > 0 && len(*s) > limit {
		cut.Lower(key((*s)[limit]))
		Trim(s, cut, key)
	}
	if i >= len(*s) { // its own key was the one to be dropped
		return nil, true
	}
	return (*s)[i], true
}

// Trim drops the entries that a cut excludes.
func Trim[T any, K Key[K]](s *[]*T, cut *Cut[K], key func(*T) K) {
	if cut.Set {
		i, _ := slices.BinarySearchFunc(*s, cut.From, func(e *T, k K) int { return key(e).Compare(k) })
		clear((*s)[i:])
		*s = (*s)[:i]
	}
}

// Highest is Smallest for sets that keep their highest numbers: attempts and announcements. Nothing below floor is kept.
func Highest[T any](s *[]*T, floor *int64, limit int, n int64, number func(*T) int64, create func() *T) (e *T, changed bool) {
	if n < *floor {
		return nil, false
	}
	i, found := slices.BinarySearchFunc(*s, n, func(e *T, n int64) int { return cmp.Compare(number(e), n) })
	if found {
		return (*s)[i], false
	}
	e = create()
	*s = slices.Insert(*s, i, e)
	if len(*s) <= limit {
		return e, true
	}
	Raise(s, floor, number((*s)[len(*s)-limit-1])+1, number)
	if n < *floor {
		return nil, true
	}
	return e, true
}

// Raise raises the floor to n, if that is higher, and drops what is below.
func Raise[T any](s *[]*T, floor *int64, n int64, number func(*T) int64) {
	*floor = max(*floor, n)
	i, _ := slices.BinarySearchFunc(*s, *floor, func(e *T, n int64) int { return cmp.Compare(number(e), n) })
	*s = slices.Delete(*s, 0, i)
}

// Name is a text as a key.
type Name string

// Compare orders names by their bytes.
func (n Name) Compare(o Name) int { return strings.Compare(string(n), string(o)) }

// Short is the beginning of the name.
func (n Name) Short() Name { return n[:min(len(n), ShortName)] }

// ShortName is how many bytes of a name a cut keeps.
const ShortName = 128

// Number is a number as a key.
type Number int32

// Compare orders numbers.
func (n Number) Compare(o Number) int { return cmp.Compare(n, o) }

// Short is the number.
func (n Number) Short() Number { return n }

// ShortenNames shortens the names that follow one another in a key. Nothing follows a name that was shortened, because its
// short form may equal a whole name, and the order has to stay.
func ShortenNames(names ...*string) {
	for i, n := range names {
		if len(*n) >= ShortName {
			*n = (*n)[:ShortName]
			for _, later := range names[i+1:] {
				*later = ""
			}
			return
		}
	}
}
