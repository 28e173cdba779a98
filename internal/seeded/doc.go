// Package seeded contains deliberate bugs for the proving ground to detect: a check that never detected anything is no
// evidence. Only programs built with the tag seeded contain them, and only the bug named by HEADWAY_SEEDED_BUG is
// active. In any other build Bug is the constant false, and the compiler removes the code that depends on it.
package seeded
