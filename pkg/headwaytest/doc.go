// Package headwaytest is for tests. It provides a real nats-server and a real Redis, generators of events whose
// values collide on purpose, and tests of the laws of the fold. Only tests import it, so its
// dependencies don't reach users.
//
// NATS starts a nats-server in the process, with JetStream on disk. Redis chooses the best available Redis and reports
// which one; RedisEach runs a suite on it and on the in-memory stand-in. To make a server fail, NATS and RedisChild
// return one that can be restarted with its data, without it, or with the data of an earlier moment:
//
//	running ──Kill──▶ down ──Restart──▶ running, as of the last Save
//	running ──Restart──▶ running, with its data
//	running ──RestartEmpty──▶ running, with nothing
//	running ──Pause──▶ silent, its connections open ──Resume──▶ running
//
// Every server ends with the test that started it.
package headwaytest
