package program

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// errStarting is why a program isn't ready that hasn't tried anything yet.
var errStarting = errors.New("starting")

// Waiting is what a program waits for at present. The zero value waits for nothing in particular; a nil one ignores
// what it is told.
type Waiting struct{ now atomic.Pointer[wait] }

type wait struct {
	what, why string
	tries     int
	since     time.Time
}

// Failed counts a try that failed. What is waited for is named as in "NATS"; why is shown to anybody who asks.
func (w *Waiting) Failed(what, why string) {
	if w == nil {
		return
	}
	next := wait{what: what, why: why, tries: 1, since: time.Now()}
	if last := w.now.Load(); last != nil && last.what == what {
		next.tries, next.since = last.tries+1, last.since
	}
	w.now.Store(&next)
}

// Err says what is waited for, since when, and why.
func (w *Waiting) Err() error {
	x := w.now.Load()
	if x == nil {
		return errStarting
	}
	return fmt.Errorf("waiting for %s: %s (%s try, since %s)", x.what, x.why, ordinal(x.tries), x.since.UTC().Format("15:04:05Z"))
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}
