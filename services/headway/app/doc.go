// Package app is headway run: everything in one process on embedded defaults.
package app
