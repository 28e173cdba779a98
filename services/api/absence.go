package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/headwayhq/headway/internal/seeded"
)

// held is the result of looking for a view.
type held uint8

const (
	absent  held = iota // the partition never had it
	missing             // the partition counts it, but it is lost and being rebuilt
	present
)

// stored is a view as read.
type stored struct {
	held  held
	value []byte // if it is present
}

// stands returns nil if a view that the partition doesn't have doesn't exist: the partition is complete, and events are folded
// up to a moment ago. Otherwise the problem says why that isn't certain. A fence that is older than one already seen belongs to a store that
// was rolled back, whatever it says about completeness: its owner hasn't noticed yet.
func (s *source) stands(p int, f *fence, now time.Time) *problemError {
	if f == nil || !f.complete || f.before(s.newest[p].Load()) {
		return notReady()
	}
	if lag := now.Sub(f.watermark); lag > s.fresh {
		return stale(lag)
	}
	return nil
}

// before reports whether a fence is older than another one of the same log and fold version.
func (f *fence) before(other *fence) bool {
	return other != nil && f.identity == other.identity && f.fold == other.fold && f.cursor < other.cursor
}

// absence is the answer for a view that wasn't found.
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

// gap is a reason why batches may be missing in a list.
type gap struct {
	Type    string     `json:"type"` // views_rebuilding, views_stale or events_gone
	Message string     `json:"message"`
	Before  *time.Time `json:"before,omitempty"` // only for events_gone
}

// gaps says why batches may be missing in a list, from the fences as last read.
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
			" partitions are being rebuilt from the event log: batches may be missing until that is done."})
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
	p.p.Detail += " Events before " + before + " are gone from the event log: if the batch ended before that, nothing is known about it any more."
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
