package diagnostics

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// The view and its fold.

type (
	// View is the materialized state of one batch: a join-semilattice, whose value is a function of the
	// set of events folded into it. A View is not safe for concurrent use.
	View = view.View
	// Header is the position of a view in the stream. It is stored before the state and isn't part of it.
	Header = view.Header
	// Encoder encodes many views in turn and reuses its memory. Not safe for concurrent use.
	Encoder = view.Encoder
	// Part is a part of a view as it is stored.
	Part = view.Part
	// Changes are what has to be stored of a view whose parts are stored apart.
	Changes = view.Changes
	// Outcome is what an event did to a view; its String is a metric label.
	Outcome = view.Outcome
)

// What an event did to a view.
const (
	Applied   = view.Applied   // the state changed
	Unchanged = view.Unchanged // everything in the event was known already
	Rejected  = view.Rejected  // the event belongs to another batch
)

// FoldVersion is the version of the fold's rules and of the state encoding. A change of either raises it.
const FoldVersion = view.FoldVersion

// HeaderSize is the length of the header before the state in a stored value.
const HeaderSize = view.HeaderSize

// ErrCorrupt means that bytes aren't a stored value of this fold version.
var ErrCorrupt = view.ErrCorrupt

// Bounds of a view. Beyond a bound, only the smallest keys are kept, or the highest.
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

// NewView returns the empty view of a batch.
func NewView(namespace, batch string) *View { return view.NewView(namespace, batch) }

// Fold joins the contents of e into v. It clones every string of e that it keeps.
// It doesn't set the header, because it knows nothing about the stream.
func Fold(v *View, e *Event) Outcome { return view.Fold(v, e) }

// FoldRefused joins a refused message into v. It remains in the view even if another copy is accepted later.
func FoldRefused(v *View, r Refusal) Outcome { return view.FoldRefused(v, r) }

// Join makes dst the view of the union of the events of dst and src: Join(Fold(A), Fold(B)) = Fold(A ∪ B).
// Each field of the header becomes the greater one. dst may share memory with src afterwards: don't fold into src.
func Join(dst, src *View) { view.Join(dst, src) }

// Parse reads a stored value. Errors: ErrCorrupt.
func Parse(b []byte) (*View, error) { return view.Parse(b) }

// ParseHeader reads the header of a stored value. Errors: ErrCorrupt.
func ParseHeader(b []byte) (Header, error) { return view.ParseHeader(b) }

// Apart reports how many parts of a stored value are stored apart from it.
func Apart(stored []byte) (parts int, ok bool) { return view.Apart(stored) }

// Whole puts a stored value whose parts are stored apart together with these, by their keys. It fails unless there are as many as
// the value counts.
func Whole(stored []byte, parts map[string]string) ([]byte, error) { return view.Whole(stored, parts) }

// ParseState reads a canonical state. Errors: ErrCorrupt.
func ParseState(b []byte) (*View, error) { return view.ParseState(b) }

// StoredSince is a moment before which no producer's event in a view was stored, as far as the clocks of its sources tell. ok is false
// if the view doesn't know. It doesn't cover rejected messages: see Refusals.
func StoredSince(v *View) (at time.Time, ok bool) { return view.StoredSince(v) }

// Refusals is how many rejected messages a view has; more says that there were others, which it doesn't count.
func Refusals(v *View) (n int, more bool) { return view.Refusals(v) }
