package cause

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// If a source gives no code, whole words in its detail decide: an image may be called failover.
var (
	pullFailed = regexp.MustCompile(`(?i)(^|[^a-z0-9_./:-])(back-?off|errimage[a-z]*|errpull|imagepullbackoff|fail(s|ed|ing|ure)?|can't|cannot|can not|couldn't|denied|unauthorized|forbidden|not found|no such|invalid[a-z]*|manifest unknown|error)($|[^a-z0-9_/-])`)
	ofGroup    = regexp.MustCompile(`(?i)\b(placement group|bundles?)\b`)
	ofLabel    = regexp.MustCompile(`(?i)\blabels?\b`)
)

// OfWaiting is the row for what a source reports that a job waits for, and how certain it is. An unknown code becomes UNKNOWN,
// with its text.
func OfWaiting(w view.Waiting) (r *Row, certainty string) {
	if w.Kind == "" {
		return Of(NotStarted), Known
	}
	if w.Code.V != "" {
		if r, ok := RowOf(Code(w.Code.V)); ok && !strings.HasPrefix(w.Code.V, "REPORTING:") {
			if r.Code == Unknown {
				return r, Unsure
			}
			return r, Known
		}
		return Of(Unknown), Unsure
	}
	return ofKind(w)
}

func ofKind(w view.Waiting) (r *Row, certainty string) {
	infeasible, detail := w.Infeasible.V, w.Detail.V
	coming := w.NodesPending.V > 0
	switch {
	case w.Kind == "image_pull" && (infeasible || pullFailed.MatchString(detail)):
		return Of(PullFailed), Known
	case w.Kind == "image_pull":
		return Of(Pulling), Known
	case w.Kind == "runtime_env" && infeasible:
		return Of(EnvFailed), Known
	case w.Kind == "runtime_env":
		return Of(EnvBuilding), Known
	case w.Kind == "quota" && view.InQueue(detail):
		return Of(Queued), Known
	case w.Kind == "quota":
		return Of(Quota), Known
	case infeasible && ofGroup.MatchString(detail):
		return Of(Group), Known
	case infeasible && ofLabel.MatchString(detail):
		return Of(Labels), Known
	case infeasible:
		return Of(TooLarge), Known
	case w.Kind == "node_launch" || coming:
		return Of(NodeLaunching), Known
	case Covers(w.OfferedJSON, w.DemandJSON):
		return Of(InUse), Inferred
	}
	return Of(Unknown), Unsure
}

// Covers reports whether an offer is enough for a demand.
func Covers(offered, demand string) bool {
	var has, wants map[string]float64
	if json.Unmarshal([]byte(offered), &has) != nil || json.Unmarshal([]byte(demand), &wants) != nil || len(wants) == 0 {
		return false
	}
	for what, n := range wants {
		if has[what] < n {
			return false
		}
	}
	return true
}

// Helps returns whether waiting helps: no if a source reports that the demand can never be met.
func Helps(r *Row, w *view.Waiting) string {
	if w != nil && w.Infeasible.V {
		return No
	}
	return r.Helps
}
