// Package eventlog is the adapter to NATS JetStream, which is the source of truth: it stores every
// accepted event, in order. It provisions the streams, reads the log in order, publishes, and keeps the dead letters.
//
// Three streams:
//
//	HEADWAY_EVENTS  headway.events.<namespace>.<batch>.<kind…>, stored as headway.log.<partition>.<namespace>.<batch>.<kind…>
//	HEADWAY_HEALTH  headway.health.<namespace>.<batch>, sourced from the first
//	HEADWAY_DLQ     headway.dlq.<identity>.<sequence>
//
// A stream's identity names it across being deleted and made again (its creation time) and across losing
// its end (an incarnation number, kept in its metadata). A position means something only together
// with the identity it was taken under.
//
// A Log is safe for concurrent use.
package eventlog
