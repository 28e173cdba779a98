// Package rayapi speaks with Ray: the HTTP API of its dashboard, and the events that its nodes export.
//
// It knows Ray's wire formats and nothing of Headway. Seen on Ray 2.60; what is absent, null or unknown is left at its zero
// value, never an error, since both APIs grow fields and drop them from one release to the next.
//
// Client asks; each request has a timeout of its own and a bounded answer. Its errors: *StatusError where the dashboard answered
// (401 and 403 for a missing or wrong token, 503 for a module it lacks), anything else where it didn't.
//
// DecodeExport reads what a node posts: camelCase or snake_case, ids as base64 or hex, integers as strings, repeated transitions.
package rayapi
