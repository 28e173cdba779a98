// Package api serves views over HTTP: snapshots, lists and event streams. It also accepts events and publishes them to the
// event log. It only reads views.
//
// # Contract
//
//   - Every answer says for which moment it is valid; time-dependent fields are evaluated at the fence's moment,
//     never by the clock of this process.
//   - A missing view of an incomplete partition is a 503, never a 404 (rule 15).
//   - A snapshot that is read often, or streamed, is kept in memory and updated by pushes; it is
//     rendered again when the moment of evaluation moves.
//   - The answer for a batch of another namespace is exactly the one for a batch that doesn't exist.
//   - The dashboard has one page for all its addresses, and uses nothing but the public API.
//   - Handlers are thin: they turn a request into a call, and its result into an answer.
package api
