// Package program is the life of a Headway program, the same for all of them:
//
//	New ──▶ Start ──▶ waiting for its backends ──▶ working ──▶ Stop
//
// From Start on it listens, and /livez, /readyz and /metrics answer: while it waits, /readyz says for what. A
// configuration that waiting can't mend ends the program. Programs run as processes of their own (Main), inside of
// headway run, and inside of tests.
package program
