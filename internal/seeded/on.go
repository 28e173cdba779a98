//go:build seeded

package seeded

import "os"

var planted = os.Getenv("HEADWAY_SEEDED_BUG")

// Bug says whether a bug is planted.
func Bug(name string) bool { return planted == name }
