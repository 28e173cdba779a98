// Package client publishes events to Headway from Go programs, and reads its diagnoses.
//
//	c, err := client.Connect("nats://127.0.0.1:4222", client.Options{Namespace: "search"})
//	err = c.Publish(ctx, client.BatchStatus("btch_1", "PROCESSING"))
//	ack, err := c.PublishAsync(ctx, client.TierProgress("btch_1", 2, 150, 5000))
//	err = c.Flush(ctx)
//
// Publish returns once JetStream has acknowledged the event. PublishAsync hands it over and returns; its Ack
// tells what became of it, and Flush waits for all. A lost connection is waited out, until the context
// ends. Events that aren't valid are refused before they are sent, with the field and the reason.
//
// Everything may be sent again: an event's id is the caller's, or derived from its content (the time
// included: give it one when it may be made twice), and equal events count once. Order means nothing to
// Headway, so events are sent side by side.
//
// A Reader asks the API:
//
//	r, err := client.NewReader(client.ReaderOptions{URL: "http://127.0.0.1:8080", Namespace: "search"})
//	s, err := r.Diagnostics(ctx, "btch_1")
//	for s, err := range r.Watch(ctx, "btch_1") { … } // until the batch has ended
package client
