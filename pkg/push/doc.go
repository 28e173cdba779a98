// Package push carries the newest state of a topic to any number of server-sent event streams.
//
// It knows neither where states come from nor how changes are learned: a Source reads and watches, and
// whoever learns of a change calls Hub.Publish (or Hub.Stale, if the new state isn't at hand).
//
// # Contract
//
//   - A frame is encoded once, when the first subscriber is about to be sent it, and shared. So is its
//     difference to the frame before, for the clients that asked for patches: a patch goes only to a client
//     that was sent that very frame on the same connection, any other gets the whole.
//   - A subscriber has no queue. It holds a place in its topic and pulls the newest frame, so a slow one
//     skips frames, always ends on the newest, and can slow nobody down.
//   - Within one identity a topic's frame never goes back (rule 14).
//   - Only the source decides whether a topic exists, at each read; the hub never infers it from its own state.
//   - Subscribe first, then read, then drop what isn't newer: a stream has no gap and no repeat.
//   - Notifications of changes are hints. Every Config.Repair the hub compares its frames with the source, in one
//     request for all topics, and reads again those that differ; Hub.Repair does so at once.
//   - A client whose Last-Event-ID is ahead of the hub is held, with comments only, until a frame is new
//     enough, or one read of position and state shows that nothing newer is to come (rule 14).
//
// # A topic's life
//
//	acquire ──▶ watched ──▶ read once ──▶ live ──(no user for Config.Linger)──▶ unwatched, forgotten
package push
