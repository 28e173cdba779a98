// Package detector watches the clock: it reads what is due, judges it as of the partition's own moment, and
// publishes what it concludes as events on the log. It writes no view: only the fold of its events does.
//
// Any number may run. An announcement is published against the last one folded, so of several
// detectors one is heard; a settling has an id derived from what it rests on, so several are one.
package detector
