// Package client publishes events to Headway from Go programs.
//
//	c, err := client.Connect("nats://127.0.0.1:4222", client.Options{Namespace: "search"})
//	err = c.Publish(ctx, client.TierProgress("btch_1", 2, 150, 5000))
//	err = c.Flush(ctx)
//
// Publish hands an event over and returns; Flush returns once JetStream has acknowledged everything. A lost
// connection is waited out. Everything may be sent again: an event's id is the caller's, or derived from
// its content, and equal events count once. Order means nothing to Headway, so events are sent side by side.
package client
