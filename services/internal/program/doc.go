// Package program implements the life cycle that all Headway programs share:
//
//	New ──▶ Start ──▶ waiting for its backends ──▶ working ──▶ Stop
//
// From Start on it listens and serves /livez, /readyz and /metrics. While it waits, /readyz says for what. A configuration
// error that waiting can't fix ends the program. Programs run as processes of their own (Main), inside of
// headway run, and inside of tests.
package program
