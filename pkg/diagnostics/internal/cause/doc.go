// Package cause knows why batches stand still and why they fail: the signals of the health table, what jobs wait for in
// words, and the categories of failures. It consists of tables, each with its source.
package cause
