// Package rayapi talks to Ray: to the HTTP API of its dashboard, and through the events that its nodes export.
//
// It knows Ray's wire formats and nothing of Headway. It was checked with Ray 2.60. Fields that are absent, null or of an unknown
// form stay zero and are never an error, since both APIs gain and lose fields from one release to the next.
//
// Client sends requests; each has its own timeout and a limit on the size of the answer. Its errors are *StatusError if
// the dashboard answered (401 and 403 for a missing or wrong token, 503 for a missing module), and others if it didn't.
//
// DecodeExport reads the body that a node posts: camelCase or snake_case, ids as base64 or hex, integers as strings, repeated transitions.
package rayapi
