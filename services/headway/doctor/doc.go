// Package doctor looks at a running Headway from outside and says what is wrong and what to do.
//
// It asks NATS, Redis and the API, and changes nothing: a stream that is missing stays missing. One that
// can't be asked leaves what depends on it unknown, not wrong. Secrets within addresses are never said.
package doctor
