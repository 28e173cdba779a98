// Package doctor looks at a running Headway from outside and says what is wrong and what to do.
//
// It asks NATS, Redis and the API, and changes nothing that lasts: a stream that is missing stays missing, and what it
// writes to see that writing works is deleted at once. One that
// can't be asked leaves what depends on it unknown, not wrong. Secrets within addresses are never said.
package doctor
