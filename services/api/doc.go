// Package api serves views over HTTP: snapshots, lists, event streams and the front door for events. It
// only reads views; what it is given it publishes to the event log.
//
// # Contract
//
//   - Every answer says as of when it holds; time-dependent fields are evaluated at the fence's moment,
//     never at the present of this process.
//   - A view that an incomplete partition doesn't hold is 503, never 404 (rule 15).
//   - A snapshot that is read often, or streamed, is kept in memory and kept true by the push path; it is
//     rendered again when the moment of evaluation moves.
//   - A batch of another namespace is answered exactly like one that doesn't exist.
//   - The dashboard's page is one, whatever its address; it is told nothing that the API doesn't tell.
//   - Handlers are thin: they turn a request into a call, and its outcome into an answer.
package api
