//go:build !seeded

package seeded

// Bug reports whether a fault is planted.
func Bug(string) bool { return false }
