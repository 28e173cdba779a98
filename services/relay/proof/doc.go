// Package proof turns what Ray returns of a hung process into what may be shown: the place at which it waits, few frames, few lines,
// and no secrets.
package proof
