// Package machine keeps what is known of the jobs of Ray clusters as a pure state machine: it does no I/O, reads no clock, starts no
// goroutine and logs nothing. The relay around it does all of that.
//
//	input                                state                        output
//	Seen      what sources saw  ─┐   ┌──────────────────┐
//	Exported  what nodes export ─┤   │ sessions         │   events that are due
//	Listed    a list of jobs    ─┼──▶│  └ jobs (a join) │──▶ jobs that belong nowhere
//	Looked    why jobs wait     ─┤   │  └ world         │   hints at what is worth asking for
//	Counted   datasets          ─┤   └──────────────────┘
//	Kept      what was published┘             │
//	                                          └─▶ Needs, DataJobs, Found, …: questions, which change nothing
//
// An input carries its own time. The same inputs give the same state and the same events, whatever the clock of this machine says.
// An event is due until Kept says that it was published; an event that was lost becomes due again with the next input
// that concerns its job.
//
// State isn't safe for concurrent use; its owner has to serialize access.
package machine
