package crdt

import "slices"

// Smallest returns the element with key k of a sorted slice, made in its place if there is none. With a limit
// the smallest keys are kept (nil: k isn't among them), and truncated says that one was dropped.
func Smallest[T any](s *[]*T, limit int, truncated *bool, order func(*T) int, create func() *T) (e *T, made bool) {
	i, found := slices.BinarySearchFunc(*s, 0, func(e *T, _ int) int { return order(e) })
	if found {
		return (*s)[i], false
	}
	full := limit > 0 && len(*s) >= limit
	if full && i == len(*s) {
		made = !*truncated
		*truncated = true
		return nil, made
	}
	if full {
		*truncated = true
		*s = (*s)[:len(*s)-1]
	}
	e = create()
	*s = slices.Insert(*s, i, e)
	return e, true
}

// Highest is Smallest for what keeps its highest keys: attempts and announcements.
func Highest[T any](s *[]*T, limit int, order func(*T) int, create func() *T) (e *T, made bool) {
	i, found := slices.BinarySearchFunc(*s, 0, func(e *T, _ int) int { return order(e) })
	if found {
		return (*s)[i], false
	}
	if len(*s) >= limit {
		if i == 0 {
			return nil, false
		}
		*s = slices.Delete(*s, 0, 1)
		i--
	}
	e = create()
	*s = slices.Insert(*s, i, e)
	return e, true
}
