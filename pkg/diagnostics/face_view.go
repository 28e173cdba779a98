package diagnostics

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

const Applied = view.Applied

type Encoder = view.Encoder

var ErrCorrupt = view.ErrCorrupt

func Fold(v *View, e *event.Event) Outcome { return view.Fold(v, e) }

const FoldVersion = view.FoldVersion

type Header = view.Header

const HeaderSize = view.HeaderSize

func Join(dst *View, src *View) { view.Join(dst, src) }

const MaxAnnouncements = view.MaxAnnouncements
const MaxAttempts = view.MaxAttempts
const MaxBuckets = view.MaxBuckets
const MaxCollections = view.MaxCollections
const MaxErrorDocs = view.MaxErrorDocs
const MaxErrorWorkers = view.MaxErrorWorkers
const MaxErrors = view.MaxErrors
const MaxJobs = view.MaxJobs
const MaxStages = view.MaxStages
const MaxWorkers = view.MaxWorkers

func NewView(namespace string, batch string) *View { return view.NewView(namespace, batch) }

type Outcome = view.Outcome

func Parse(b []byte) (*View, error)        { return view.Parse(b) }
func ParseHeader(b []byte) (Header, error) { return view.ParseHeader(b) }
func ParseState(b []byte) (*View, error)   { return view.ParseState(b) }

const Rejected = view.Rejected
const Unchanged = view.Unchanged

type View = view.View
