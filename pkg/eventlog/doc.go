// Package eventlog is the adapter to NATS JetStream, which is the source of truth: it stores every
// accepted event, in order. The package provisions the streams, reads the log in order, publishes, and stores dead letters.
//
// Three streams:
//
//	HEADWAY_EVENTS  headway.events.<namespace>.<batch>.<kind…>, stored as headway.log.<partition>.<namespace>.<batch>.<kind…>
//	HEADWAY_HEALTH  headway.health.<namespace>.<batch>, sourced from the first
//	HEADWAY_DLQ     headway.dlq.<identity>.<sequence>
//
// A stream's identity distinguishes it from one of the same name that was deleted and recreated (by the creation time), and
// from its own state before it lost its end (by an incarnation number in its metadata). A position is meaningful only together
// with the identity under which it was read.
//
// A Log is safe for concurrent use.
package eventlog
