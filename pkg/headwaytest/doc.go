// Package headwaytest is for tests: a real nats-server and a real Redis to run against, generators of events whose
// values collide on purpose, and the laws of the fold proved with them. It is a module of its own, so that its
// dependencies reach no user.
//
// NATS starts a nats-server in the process, with JetStream on disk. Redis chooses the best Redis there is and says
// which; RedisEach runs a suite on it and on the in-memory stand-in. To make a server fail, NATS and RedisChild
// give one that can be restarted, with its data, without it, or with that of an earlier moment:
//
//	running ──Kill──▶ down ──Restart──▶ running, as of the last Save
//	running ──Restart──▶ running, with its data
//	running ──RestartEmpty──▶ running, with nothing
//	running ──Pause──▶ silent, its connections open ──Resume──▶ running
//
// Every server ends with the test that started it.
package headwaytest
