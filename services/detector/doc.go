// Package detector watches the clock: it reads what is due, judges it as of the partition's own moment, and
// publishes what it concludes as events on the log. It writes no view: only the fold of its events does.
//
// Any number may run. An announcement is published against the last one folded, so of several
// detectors one is heard; a settling has an id derived from what it rests on, so several are one.
//
// A failure has the smallest owner that it can have:
//
//	entry      its view can't be read or its event is refused: it is tried again after a delay that doubles each time
//	partition  its record or index can't be read: the next round reads it again, the other partitions are judged
//	round      Redis doesn't answer, or the log takes no events at all: what is due stays due, and Ready says why
package detector
