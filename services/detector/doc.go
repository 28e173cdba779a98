// Package detector finds changes of health that time alone causes: it reads what is due, judges it as of the partition's own
// moment, and publishes its verdicts as events on the log. It writes no view: only the fold of its events does.
//
// Any number of detectors may run. An announcement is published on the condition that the last one folded is the last one
// stored, so only one of several detectors succeeds. A settling event has an id derived from its evidence, so several are the same event.
//
// A failure affects as little as possible:
//
//	entry      its view can't be read or its event is refused: it is retried after a delay that doubles each time
//	partition  its fence or index can't be read: the next round reads it again, the other partitions are judged
//	round      Redis doesn't answer, or the log accepts no events at all: what is due stays due, and Ready says why
package detector
