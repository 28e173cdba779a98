package diagnostics

import "time"

// FoldVersion names the rules of the fold and the state encoding. A change of either raises it.
const FoldVersion = 1

// Header is where in the stream a view stands. It is stored before the state and is no part of it.
type Header struct {
	Revision   uint64 // stream sequence of the last event that changed the view
	HealthSeq  uint64 // stream sequence of the last health event folded, 0 if none
	Incomplete bool   // events were lost to retention before they were folded
}

// View is the materialized state of one batch.
type View struct {
	Header
	Namespace string
	Batch     string
}

// NewView returns the view of a batch of which nothing was heard.
func NewView(namespace, batch string) *View { return &View{Namespace: namespace, Batch: batch} }

// Outcome is what an event did to a view; its String is a metric label.
type Outcome uint8

const (
	Applied Outcome = iota
	Unchanged
	Rejected
)

func (o Outcome) String() string { return [...]string{"applied", "unchanged", "rejected"}[o] }

// Fold joins what e says into v.
func Fold(v *View, e *Event) Outcome { panic("todo") }

// Join makes dst the view of the union of both event sets.
func Join(dst, src *View) { panic("todo") }

// Append appends the stored value: header and state.
func (v *View) Append(dst []byte) []byte { panic("todo") }

// AppendState appends the canonical state alone: equal sets of events give equal bytes.
func (v *View) AppendState(dst []byte) []byte { panic("todo") }

// Parse reads a stored value.
func Parse(b []byte) (*View, error) { panic("todo") }

// ParseHeader reads only the header of a stored value.
func ParseHeader(b []byte) (Header, error) { panic("todo") }

// Verdict is the health of a batch at a moment, with its evidence.
type Verdict struct {
	Health        Health
	BlockedReason string // "" when ok or degraded
	StuckSeconds  float64
	Evidence      Evidence
}

// Assess judges v at asOf.
func Assess(v *View, asOf time.Time, p Policy) Verdict { panic("todo") }

// NextCheck is the earliest moment after asOf at which, with no new event, the verdict changes, an
// announcement falls due or the batch settles. ok is false when none ever will.
// If an announcement or settling is due at asOf already, it is asOf itself.
func NextCheck(v *View, asOf time.Time, p Policy) (at time.Time, ok bool) { panic("todo") }

// Due says what the detector has to publish for v at asOf.
func Due(v *View, asOf time.Time, p Policy) (Publication, bool) { panic("todo") }

// Publication is an event that the detector has to publish: an announcement or a settling.
type Publication struct {
	Announcement *Announcement
	Settled      *Settling
}

// Announcement is a change of health to publish.
type Announcement struct {
	Ordinal  int64
	From, To Health
	Verdict  Verdict
}

// Settling is the end of a batch of which no event ever said a status.
type Settling struct {
	Status    Word
	LastHeard int64 // nanoseconds; the event's time, and part of its id
}

// Meta is what the surroundings know of a view when it is rendered.
type Meta struct {
	RevisionID string        // <identity>-<fold>-<sequence>
	Lag        time.Duration // how far the watermark is behind the present
}

// Render gives the public answer at asOf.
func Render(v *View, asOf time.Time, p Policy, m Meta) Snapshot { panic("todo") }

// NewRow gives the list row of v.
func NewRow(v *View) Row { panic("todo") }

// AppendJSON appends the snapshot as JSON.
func (s *Snapshot) AppendJSON(dst []byte) []byte { panic("todo") }

// AppendJSON appends the row as JSON.
func (r *Row) AppendJSON(dst []byte) []byte { panic("todo") }

// Finished reports whether the batch has reached a terminal status.
func (v *View) Finished() bool { panic("todo") }
