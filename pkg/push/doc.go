// Package push delivers the newest state of a topic to any number of server-sent event streams.
//
// It knows neither where states come from nor how changes are detected: a Source reads and watches, and
// whoever detects a change calls Hub.Publish, or Hub.Stale if the new state isn't available.
//
// # Contract
//
//   - A frame is encoded once, when it is about to be sent to the first subscriber, and shared. So is its
//     difference to the frame before, for clients that asked for patches: a patch is sent only to a client
//     that received exactly that frame on the same connection, and any other gets the whole frame.
//   - A subscriber has no queue. It has a place in its topic and pulls the newest frame. So a slow one
//     skips frames, always ends with the newest, and slows nobody down.
//   - Over HTTP/1.1 a stream owns its connection. An event is encoded as a chunk of the body, and each client gets
//     these bytes in one write. Elsewhere the server's ResponseWriter gets what the chunks contain (ADR 31).
//   - Within one identity a topic's frame never goes back (rule 14). Hub.Renew replaces a frame by the same state at a later
//     moment; a client gets it only if its tag differs, which means that it says something else.
//   - Only the source decides whether a topic exists, at each read; the hub never infers it from its own state.
//   - The hub subscribes first, then reads, then drops what isn't newer, so a stream has no gap and no repetition.
//   - Notifications of changes are hints. Every Config.Repair the hub compares its frames with the source, in one
//     request for all topics, and reads again those that differ; Hub.Repair does so at once.
//   - A client whose Last-Event-ID is ahead of the hub is held, and gets comments only, until a frame is new
//     enough, or one read of position and state shows that nothing newer will come (rule 14).
//
// # A topic's life
//
//	acquire ──▶ watched ──▶ read once ──▶ live ──(no user for Config.Linger)──▶ unwatched, forgotten
package push
