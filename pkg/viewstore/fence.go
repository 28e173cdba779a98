package viewstore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Fence is a partition's record. Times are nanoseconds since 1970 UTC by the event log's server, but for
// the lease.
type Fence struct {
	LeaseUntil int64  // milliseconds, Redis TIME; set by the scripts
	Identity   string // of the stream
	Fold       int    // version
	Token      string // random for each claim
	Cursor     uint64 // everything up to this sequence is folded
	CursorTime int64  // when the message at the cursor was stored, 0 if unknown
	Watermark  int64  // up to this time the stream is folded
	Complete   bool   // the last commit reached the stream's end as known then
	EndSeen    uint64 // the stream's end as known last
	JudgeAt    int64  // the moment at which timers are judged; 0 before the first completion
	HoldUntil  int64  // until the watermark reaches it, JudgeAt stands still
	PolicyHash string
	GoneBefore int64 // events stored before this moment are gone from the log; 0 if none are
}

const fenceFields = 13

// String is the record as stored: the lease first, so that a script can set it.
func (f Fence) String() string { return strconv.FormatInt(f.LeaseUntil, 10) + " " + f.rest() }

func (f Fence) rest() string {
	return fmt.Sprintf("%s %d %s %d %d %d %t %d %d %d %s %d", dash(f.Identity), f.Fold, dash(f.Token), f.Cursor, f.CursorTime,
		f.Watermark, f.Complete, f.EndSeen, f.JudgeAt, f.HoldUntil, dash(f.PolicyHash), f.GoneBefore)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

var errRecord = errors.New("viewstore: not a fence record")

// ParseFence reads a record.
func ParseFence(s string) (Fence, error) {
	p := strings.Split(s, " ")
	if len(p) != fenceFields {
		return Fence{}, fmt.Errorf("%w: %q", errRecord, s)
	}
	var errs []error
	num := func(i int) int64 {
		n, err := strconv.ParseInt(p[i], 10, 64)
		errs = append(errs, err)
		return n
	}
	undash := func(i int) string { return strings.TrimPrefix(p[i], "-") }
	f := Fence{
		LeaseUntil: num(0), Identity: undash(1), Fold: int(num(2)), Token: undash(3), Cursor: uint64(num(4)),
		CursorTime: num(5), Watermark: num(6), Complete: p[7] == "true", EndSeen: uint64(num(8)),
		JudgeAt: num(9), HoldUntil: num(10), PolicyHash: undash(11), GoneBefore: num(12),
	}
	if errors.Join(errs...) != nil {
		return Fence{}, fmt.Errorf("%w: %q", errRecord, s)
	}
	return f, nil
}

// Progress is how far a worker has come.
type Progress struct {
	Cursor     uint64
	CursorTime int64
	Watermark  int64
	Complete   bool
	EndSeen    uint64
	GoneBefore int64
}

// maxStep is the greatest step of the watermark that isn't a jump.
const maxStep = int64(10 * time.Second)

// Advance is the record after progress. The moment at which timers are judged follows the watermark, but
// when that jumps (an outage, of the log or ours) it stays before the jump for hold: producers
// reconnect later than we do (rule 8). Without a completion before there is no jump.
func (f Fence) Advance(to Progress, hold time.Duration) Fence {
	before := f.Watermark
	f.Cursor, f.CursorTime = to.Cursor, to.CursorTime
	f.Watermark = max(f.Watermark, to.Watermark)
	f.Complete, f.EndSeen = to.Complete, max(f.EndSeen, to.EndSeen)
	f.GoneBefore = max(f.GoneBefore, to.GoneBefore)
	switch {
	case f.JudgeAt == 0:
		if f.Complete {
			f.JudgeAt = f.Watermark
		}
	case f.Watermark < f.HoldUntil:
	case f.Watermark-before > maxStep:
		f.JudgeAt, f.HoldUntil = max(before, f.JudgeAt), f.Watermark+int64(hold)
	default:
		f.JudgeAt = f.Watermark
	}
	return f
}

// AsOf is the moment at which what depends on time is evaluated.
func (f Fence) AsOf() time.Time {
	if f.JudgeAt != 0 {
		return time.Unix(0, f.JudgeAt).UTC()
	}
	return time.Unix(0, f.Watermark).UTC()
}
