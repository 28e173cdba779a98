package event

import (
	"testing"
	"time"
)

func some[T any](v T) Opt[T]    { return Opt[T]{v, true} }
func moment(ns int64) time.Time { return time.Unix(0, ns).UTC() }

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}
