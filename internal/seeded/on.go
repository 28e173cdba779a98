//go:build seeded

package seeded

import "os"

var planted = os.Getenv("HEADWAY_SEEDED_BUG")

// Bug reports whether the named bug is active.
func Bug(name string) bool { return planted == name }

// Built reports whether this program contains the deliberate bugs. Such a program also accepts limits that are too short for use.
const Built = true
