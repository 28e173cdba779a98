// Package client publishes events to Headway from Go programs, and reads its diagnoses.
//
//	c, err := client.Connect("nats://127.0.0.1:4222", client.Options{Namespace: "search"})
//	err = c.Publish(ctx, client.BatchStatus("btch_1", "PROCESSING"))
//	ack, err := c.PublishAsync(ctx, client.TierProgress("btch_1", 2, 150, 5000))
//	err = c.Flush(ctx)
//
// Publish returns once JetStream has acknowledged the event. PublishAsync queues it and returns; its Ack
// reports the result, and Flush waits for all results. While the connection is lost, both keep trying until the context
// ends. Invalid events are rejected before they are sent, with the field and the reason.
//
// Every event may be sent again: equal events count once. An event's id is set by the caller, or derived from its
// content including the time, so set ID or Time where the same event may be created twice. Order doesn't matter to
// Headway, so events are sent concurrently.
//
// Post returns a Client that sends through the API instead of to NATS, for programs that have an API key:
//
//	c, err := client.Post(client.HTTP{URL: "https://headway.example", Token: client.Key(key)}, client.Options{Namespace: "search"})
//
// A Reader asks the API:
//
//	r, err := client.NewReader(client.ReaderOptions{URL: "http://127.0.0.1:8080", Namespace: "search"})
//	s, err := r.Diagnostics(ctx, "btch_1")
//	for s, err := range r.Watch(ctx, "btch_1") { … } // until the batch has ended
//
// # Credentials
//
// Both take a Token: Key for a key that stays the same, or a function that is called for each request. When the API refuses a credential,
// or ends a stream because its credential has ended, the function is asked for another one, once, and what was under way goes on: a watch
// after the last snapshot, an event with the same content. RefusedCredential tells the function which one to replace. If there is no other,
// the error is a *StatusError whose Kind and Detail say what was refused.
package client
