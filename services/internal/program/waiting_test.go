package program

import (
	"regexp"
	"testing"
)

func TestWaitingSaysForWhat(t *testing.T) {
	var w Waiting
	if got := w.Err().Error(); got != "starting" {
		t.Error(got)
	}
	for n, want := range []string{"1st", "2nd", "3rd", "4th"} {
		w.Failed("NATS", "connection refused")
		if got := w.Err().Error(); !regexp.MustCompile(`^waiting for NATS: connection refused \(` + want + ` try, since \d\d:\d\d:\d\dZ\)$`).MatchString(got) {
			t.Errorf("%d: %s", n, got)
		}
	}
	w.Failed("Redis", "LOADING")
	if got := w.Err().Error(); !regexp.MustCompile(`^waiting for Redis: LOADING \(1st try`).MatchString(got) {
		t.Error(got)
	}
	for n, want := range map[int]string{11: "11th", 12: "12th", 13: "13th", 21: "21st", 112: "112th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
