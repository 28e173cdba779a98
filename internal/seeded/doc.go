// Package seeded plants bugs on purpose, for the proving ground to catch: a check that has never caught anything proves
// nothing. Only programs built with the tag seeded have them, and then the one that HEADWAY_SEEDED_BUG names. In any
// other build Bug is the constant false, and the compiler leaves out what hangs on it.
package seeded
