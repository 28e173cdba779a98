package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/headwayhq/headway/internal/seeded"
)

// held says what a read found of a view.
type held uint8

const (
	absent  held = iota // the partition never had it
	missing             // the partition counts it, but it isn't there: it is being rebuilt
	present
)

// stored is what a read found of a view.
type stored struct {
	held  held
	value []byte // of what is present
}

// stands reports whether what a partition doesn't hold doesn't exist: it is complete, and events are known to be folded
// up to a moment ago. If not, the problem says why. A fence from before one that was seen already is that of a store that
// was rolled back, whatever it says of itself: its owner hasn't noticed yet.
func (s *source) stands(p int, f *fence, now time.Time) *problemError {
	if f == nil || !f.complete || f.before(s.newest[p].Load()) {
		return notReady()
	}
	if lag := now.Sub(f.watermark); lag > s.fresh {
		return stale(lag)
	}
	return nil
}

// before reports whether a fence says less than another one of the same log and fold.
func (f *fence) before(other *fence) bool {
	return other != nil && f.identity == other.identity && f.fold == other.fold && f.cursor < other.cursor
}

// absence is the answer for a view of a partition that wasn't found.
func (s *source) absence(p int, f *fence, h held, now time.Time) error {
	if seeded.Bug("absence-from-empty") {
		return notFound(time.Time{})
	}
	if h == missing {
		return notReady()
	}
	if doubt := s.stands(p, f, now); doubt != nil {
		return doubt
	}
	return notFound(f.goneBefore)
}

// gap is a reason why a list may lack batches.
type gap struct {
	Type    string     `json:"type"` // views_rebuilding, views_stale or events_gone
	Message string     `json:"message"`
	Before  *time.Time `json:"before,omitempty"` // of events_gone
}

// gaps tells why a list may lack batches, from the fences as they were read last.
func (s *source) gaps(now time.Time) []gap {
	gaps := []gap{}
	rebuilding, lag, gone := 0, time.Duration(0), time.Time{}
	for p := range s.latest {
		f := s.latest[p].Load()
		if f == nil || !f.complete || f.before(s.newest[p].Load()) {
			rebuilding++
		}
		if f == nil {
			continue
		}
		if f.complete {
			lag = max(lag, now.Sub(f.watermark))
		}
		if f.goneBefore.After(gone) {
			gone = f.goneBefore
		}
	}
	if rebuilding > 0 {
		gaps = append(gaps, gap{Type: "views_rebuilding", Message: strconv.Itoa(rebuilding) + " of " + strconv.Itoa(len(s.latest)) +
			" partitions are being rebuilt from the event log: batches may be missing for the moment."})
	}
	if lag > s.fresh {
		gaps = append(gaps, gap{Type: "views_stale", Message: "Events of the last " + inSeconds(lag) + " may not have reached the views: batches may be missing."})
	}
	if !gone.IsZero() {
		gaps = append(gaps, gap{Type: "events_gone", Before: &gone,
			Message: "Events before " + gone.Format(time.RFC3339) + " are gone from the event log: batches of that time may be missing."})
	}
	return gaps
}

func inSeconds(d time.Duration) string { return strconv.Itoa(int(d/time.Second)) + " s" }

func notFound(goneBefore time.Time) *problemError {
	p := problem(http.StatusNotFound, "not_found", "No such batch in this namespace.")
	if goneBefore.IsZero() {
		return p
	}
	before := goneBefore.Format(time.RFC3339Nano)
	p.p.Detail += " Events before " + before + " are gone from the event log: if it ended before that, nothing is known of it any more."
	p.p.Error.Message = p.p.Detail
	return p.detail("gone_before", before)
}

func notReady() *problemError {
	return problem(http.StatusServiceUnavailable, "views_rebuilding",
		"The views of this batch are being rebuilt from the event log, so whether it exists isn't known yet. Try again shortly.").retry(2 * time.Second)
}

func stale(lag time.Duration) *problemError {
	return problem(http.StatusServiceUnavailable, "views_stale",
		"Events of the last "+inSeconds(lag)+" haven't reached the views, so whether this batch exists isn't known at the moment. Try again shortly.").
		retry(5*time.Second).detail("lag_seconds", int(lag/time.Second))
}
