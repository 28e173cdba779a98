// Package history is the adapter to the stream HEADWAY_HISTORY, which keeps the last state of each batch after the event log was cut,
// and the list row of each finished batch.
package history
