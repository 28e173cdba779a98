// Package headwaytest is for tests: a real Redis where one can be had, generators of events whose values
// collide on purpose, and the laws of the fold proved with them. It is a module of its own, so that its dependencies
// reach no user.
package headwaytest
