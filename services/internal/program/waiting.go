package program

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// errStarting is why a program isn't ready before its first connection attempt.
var errStarting = errors.New("starting")

// Waiting is what a program waits for at present. The zero value waits for nothing in particular. A nil Waiting
// ignores all reports.
type Waiting struct{ now atomic.Pointer[wait] }

type wait struct {
	what, why string
	tries     int
	since     time.Time
}

// Failed reports a failed attempt. what names the thing waited for, for example "NATS"; why is shown to anyone who
// asks.
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

// Err returns what is waited for, since when, and why.
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
