// Package doctor examines a running Headway from outside, and reports what is wrong and what to do about it.
//
// It queries NATS, Redis and the API, and leaves nothing changed: a missing stream is not created, and what it writes
// to test writing is deleted at once. If a server can't be reached, the findings that depend on it are unknown, not
// wrong. Secrets in addresses are never printed.
package doctor
