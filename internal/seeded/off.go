//go:build !seeded

package seeded

// Bug reports whether the named bug is active. It never is without the build tag seeded.
func Bug(string) bool { return false }

// Built reports whether this program contains the deliberate bugs.
const Built = false
