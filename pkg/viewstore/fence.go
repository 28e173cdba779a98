package viewstore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Fence is who owns a partition, and how far its log is folded. Times are nanoseconds since 1970 UTC by the clock of
// the event log's server, except the lease.
type Fence struct {
	LeaseUntil int64  // milliseconds, Redis TIME; set by the scripts
	Views      int64  // how many views there are; counted by the scripts
	Uncovered  int64  // how many of them no checkpoint covers; counted by the scripts
	Identity   string // of the stream
	Fold       int    // version
	Token      string // random for each claim
	Cursor     uint64 // everything up to this sequence is folded
	CursorTime int64  // when the message at the cursor was stored, 0 if unknown
	Watermark  int64  // up to this time the stream is folded
	Complete   bool   // the last commit reached the stream's end as known then
	EndSeen    uint64 // the last known end of the stream
	JudgeAt    int64  // the moment at which timers are judged; 0 before the first completion
	HoldUntil  int64  // JudgeAt doesn't move until the watermark reaches this moment
	PolicyHash string
	GoneBefore int64 // events stored before this moment are gone from the log; 0 if none are
	// Looked is the cursor at the time of the last look at the log's first sequence: nothing up to here was missing (rule 23).
	Looked   uint64
	History  string // generation of the history of checkpoints; empty if there is none
	Restored bool   // every batch of the history that must have a view has one (rule 26)
	Commits  uint64 // counts commits, so that no two records are equal
}

// fields are the names in the stored fence, in this order, after lease and views.
var fields = []string{
	"identity", "fold", "token", "cursor", "stored", "watermark", "complete", "end", "judge", "hold", "policy", "gone",
	"looked", "history", "restored", "commits",
}

// String is the stored form of the fence. It begins with the fields that the scripts set.
func (f Fence) String() string {
	return "lease=" + strconv.FormatInt(f.LeaseUntil, 10) + " " + f.counted()
}

func (f Fence) counted() string {
	return "views=" + strconv.FormatInt(f.Views, 10) + " uncovered=" + strconv.FormatInt(f.Uncovered, 10) + " " + f.rest()
}

// rest is the part that the worker decides.
func (f Fence) rest() string {
	b := make([]byte, 0, 400)
	for i, v := range [...]any{
		dash(f.Identity), f.Fold, dash(f.Token), f.Cursor, f.CursorTime, f.Watermark, f.Complete, f.EndSeen, f.JudgeAt,
		f.HoldUntil, dash(f.PolicyHash), f.GoneBefore, f.Looked, dash(f.History), f.Restored, f.Commits,
	} {
		if i > 0 {
			b = append(b, ' ')
		}
		b = fmt.Append(append(append(b, fields[i]...), '='), v)
	}
	return string(b)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ErrUnreadable: a partition's fence can't be parsed. It carries no information, so the partition may be claimed at once.
var ErrUnreadable = errors.New("not a fence record")

// ParseFence parses a stored fence. Errors: ErrUnreadable.
func ParseFence(s string) (Fence, error) {
	rest, bad := s, false
	text := func(name string) string {
		value, ok := strings.CutPrefix(rest, name+"=")
		bad = bad || !ok
		value, rest, _ = strings.Cut(value, " ")
		return value
	}
	num := func(name string) int64 {
		n, err := strconv.ParseInt(text(name), 10, 64)
		bad = bad || err != nil || n < 0
		return n
	}
	undash := func(name string) string { return strings.TrimPrefix(text(name), "-") }
	flag := func(name string) bool {
		value := text(name)
		bad = bad || value != "true" && value != "false"
		return value == "true"
	}
	f := Fence{
		LeaseUntil: num("lease"), Views: num("views"), Uncovered: num("uncovered"), Identity: undash("identity"), Fold: int(num("fold")),
		Token: undash("token"), Cursor: uint64(num("cursor")), CursorTime: num("stored"), Watermark: num("watermark"),
	}
	f.Complete = flag("complete")
	f.EndSeen, f.JudgeAt, f.HoldUntil = uint64(num("end")), num("judge"), num("hold")
	f.PolicyHash, f.GoneBefore = undash("policy"), num("gone")
	f.Looked, f.History, f.Restored, f.Commits = uint64(num("looked")), undash("history"), flag("restored"), uint64(num("commits"))
	// Scripts compare the text, so a fence in any other form than String's wasn't written by Headway.
	if bad || f.String() != s {
		return Fence{}, fmt.Errorf("viewstore: %w: %.200q", ErrUnreadable, s)
	}
	return f, nil
}

// Progress is how far a worker has folded.
type Progress struct {
	Cursor     uint64
	CursorTime int64
	Watermark  int64
	Complete   bool
	EndSeen    uint64
	GoneBefore int64
	Looked     uint64
	Restored   bool
	Judged     int64 // the latest moment as of which a folded announcement was made, 0 if none is known
}

// maxStep is the largest step of the watermark that doesn't count as a jump.
const maxStep = int64(10 * time.Second)

// Advance is the fence after progress. The moment at which timers are judged follows the watermark. But
// when the watermark jumps (after an outage of the log or of Headway), that moment stays before the jump for hold, because producers
// reconnect later than Headway does (rule 8). Before the first completion nothing counts as a jump. The moment is never earlier than
// that of an announcement: otherwise, after a rollback of the store, a batch would be shown with an older verdict than the announced one.
func (f Fence) Advance(to Progress, hold time.Duration) Fence {
	before := f.Watermark
	f.Cursor, f.CursorTime = to.Cursor, to.CursorTime
	f.Watermark = max(f.Watermark, to.Watermark)
	f.Complete, f.EndSeen = to.Complete, max(f.EndSeen, to.EndSeen)
	f.GoneBefore, f.Looked = max(f.GoneBefore, to.GoneBefore), max(f.Looked, to.Looked)
	f.Restored = f.Restored || to.Restored
	f.Commits++
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
	if f.JudgeAt != 0 {
		f.JudgeAt = max(f.JudgeAt, min(to.Judged, f.Watermark))
	}
	return f
}

// AsOf is the moment at which everything that depends on time is evaluated.
func (f Fence) AsOf() time.Time {
	if f.JudgeAt != 0 {
		return time.Unix(0, f.JudgeAt).UTC()
	}
	return time.Unix(0, f.Watermark).UTC()
}
