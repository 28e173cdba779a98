package diagnostics

import "github.com/headwayhq/headway/pkg/diagnostics/internal/view"

// The view and its fold.

type (
	// View is the materialized state of one batch: a join-semilattice, whose value is a function of the
	// set of events folded into it. A View is not safe for concurrent use.
	View = view.View
	// Header is where in the stream a view stands. It is stored before the state and is no part of it.
	Header = view.Header
	// Encoder is Append for many views in turn: it reuses its memory. Not safe for concurrent use.
	Encoder = view.Encoder
	// Outcome is what an event did to a view; its String is a metric label.
	Outcome = view.Outcome
)

// What an event did to a view.
const (
	Applied   = view.Applied   // the state changed
	Unchanged = view.Unchanged // all that the event says was known
	Rejected  = view.Rejected  // the event is of another batch
)

// FoldVersion names the rules of the fold and the state encoding. A change of either raises it.
const FoldVersion = view.FoldVersion

// HeaderSize is the length of the header before the state in a stored value.
const HeaderSize = view.HeaderSize

// ErrCorrupt says that bytes are no stored value of this fold version.
var ErrCorrupt = view.ErrCorrupt

// Bounds of a view: of what is beyond one the smallest keys are kept, or the highest.
const (
	MaxAttempts      = view.MaxAttempts
	MaxJobs          = view.MaxJobs
	MaxCollections   = view.MaxCollections
	MaxErrors        = view.MaxErrors
	MaxErrorDocs     = view.MaxErrorDocs
	MaxStages        = view.MaxStages
	MaxBuckets       = view.MaxBuckets
	MaxWorkers       = view.MaxWorkers
	MaxErrorWorkers  = view.MaxErrorWorkers
	MaxAnnouncements = view.MaxAnnouncements
	MaxSources       = view.MaxSources
	MaxRefusals      = view.MaxRefusals
	MaxRefusedTiers  = view.MaxRefusedTiers
)

// NewView returns the view of a batch of which nothing was heard.
func NewView(namespace, batch string) *View { return view.NewView(namespace, batch) }

// Fold joins what e says into v. It keeps no string of e that it doesn't clone.
// The header is the caller's: the fold knows no stream.
func Fold(v *View, e *Event) Outcome { return view.Fold(v, e) }

// FoldRefused joins a refused message into v. It is a fact of its own, and stays one if another copy is accepted later.
func FoldRefused(v *View, r Refusal) Outcome { return view.FoldRefused(v, r) }

// Join makes dst the view of the union of the events of dst and src: Join(Fold(A), Fold(B)) = Fold(A ∪ B).
// The header takes the greater of each. dst may share memory with src afterwards: don't fold into src.
func Join(dst, src *View) { view.Join(dst, src) }

// Parse reads a stored value. Errors: ErrCorrupt.
func Parse(b []byte) (*View, error) { return view.Parse(b) }

// ParseHeader reads the header of a stored value. Errors: ErrCorrupt.
func ParseHeader(b []byte) (Header, error) { return view.ParseHeader(b) }

// ParseState reads a canonical state. Errors: ErrCorrupt.
func ParseState(b []byte) (*View, error) { return view.ParseState(b) }
