// Package e2e holds the tests of the whole: the programs as children on a real nats-server and a real
// redis-server, killed, wiped and rolled back while events flow. It has no code of its own.
package e2e
