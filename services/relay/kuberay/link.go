package kuberay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// Codes of causes that Kubernetes knows, from docs/causes.md.
const (
	nodeLaunching  = "CAPACITY:NODE_LAUNCHING"
	nodeNotJoining = "CAPACITY:NODE_NOT_JOINING"
	nodeRefused    = "CAPACITY:NODE_REFUSED"
	inUse          = "CAPACITY:IN_USE"
	atLimit        = "CAPACITY:AT_LIMIT"
	overQuota      = "CAPACITY:QUOTA"
	queued         = "CAPACITY:QUEUED"
	held           = "CAPACITY:HELD"
	preempted      = "CAPACITY:PREEMPTED"
	tooLarge       = "PLACEMENT:TOO_LARGE"
	unschedulable  = "PLACEMENT:POD_UNSCHEDULABLE"
	pulling        = "IMAGE:PULLING"
	pullFailed     = "IMAGE:PULL_FAILED"
	registry       = "IMAGE:REGISTRY"
	starting       = "CONTAINER:STARTING"
	configError    = "CONTAINER:CONFIG_ERROR"
	setupFailed    = "CONTAINER:SETUP_FAILED"
	crashLoop      = "CONTAINER:CRASH_LOOP"
	outOfMemory    = "CONTAINER:OUT_OF_MEMORY"
	evicted        = "CONTAINER:EVICTED"
	headLost       = "RAY:HEAD_LOST"
	driverLost     = "RAY:DRIVER_LOST"
	nodeLost       = "RAY:NODE_LOST"
	submitterFails = "RAY:SUBMITTER_FAILED"
	notStarted     = "RAY:NOT_STARTED"
	rejected       = "PIPELINE:REJECTED"
	waitsForSubmit = "PIPELINE:WAITS_FOR_SUBMISSION"
	unknown        = "UNKNOWN"
)

// hopeless are the codes that waiting can't mend.
var hopeless = []string{
	nodeNotJoining, held, tooLarge, pullFailed, configError, crashLoop, outOfMemory, headLost, driverLost, submitterFails, rejected,
}

// link is what keeps one part of a RayJob from getting on. A part is a link of the chain from the object to the program:
// accepted, admitted, created, placed, set up, image, container, joined.
type link struct {
	code   string
	step   step
	minor  bool      // a worker, which the job can do without longer than without its head
	since  time.Time // when the wait began
	at     time.Time // when the code became true, if later
	detail string
	demand map[string]float64
	brings map[string]float64 // what the worker would bring
	ended  *ended             // the container whose end it is
}

type step int

const (
	stepAccepted step = iota
	stepCreated
	stepPlaced
	stepSetUp
	stepImage
	stepContainer
	stepJoined
)

// first returns the link that speaks for the job, or nil: one that waiting can't mend, then the one that comes first in the
// chain, then the head's, then the oldest.
func first(links []*link) *link {
	links = slices.DeleteFunc(links, func(l *link) bool { return l == nil })
	if len(links) == 0 {
		return nil
	}
	rank := func(l *link) int {
		if slices.Contains(hopeless, l.code) {
			return 0
		}
		return 1
	}
	return slices.MinFunc(links, func(a, b *link) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.step, b.step), compareBool(a.minor, b.minor), a.since.Compare(b.since), cmp.Compare(a.detail, b.detail))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// waits returns the link as a wait. The kind is for readers that don't know codes.
func (l *link) waits() *relay.Waits {
	return &relay.Waits{
		Kind: kindOf(l.code), Code: l.code, Since: l.since.UTC(), At: later(l.since, l.at).UTC(), Detail: l.detail, Demand: l.demand,
		Worker: l.minor, Brings: l.brings,
	}
}

func kindOf(code string) string {
	switch {
	case strings.HasPrefix(code, "IMAGE:"):
		return "image_pull"
	case strings.HasPrefix(code, "CAPACITY:NODE_"), code == starting, code == preempted:
		return "node_launch"
	case strings.HasPrefix(code, "CAPACITY:") && code != inUse:
		return "quota"
	}
	return "resources"
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// hasAny reports whether a text contains one of the words, whatever their case.
func hasAny(text string, words ...string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// sentence joins the parts of a detail that aren't empty.
func sentence(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p = strings.TrimSuffix(strings.TrimSpace(p), "."); p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, ": ")
}
