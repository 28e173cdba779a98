package kuberay

import (
	"fmt"
	"reflect"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// watched is a RayJob as it was last seen.
type watched struct {
	job  *rayJob
	held *relay.Observation // a failure that is held back because the job is about to be retried
	said *relay.Observation // the last observation of the present submission

	taken bool // what the present submission ran on was taken
}

// silentFor is how long the operator may take to give a RayJob its id before the job goes by the object's name.
const silentFor = 30 * time.Second

// look returns the observations that the object yields.
func (w *watched) look(now time.Time, waits func() *relay.Waits) (seen []relay.Observation) {
	j := w.job
	if w.held != nil && !j.hasID() && !j.over() {
		return nil // Retrying: the id of the next submission isn't known yet
	}
	if j.Status.DeploymentStatus == "" && !j.Spec.Suspend && now.Sub(j.Metadata.CreationTimestamp) < silentFor && w.said == nil {
		return nil
	}
	o := j.observe(waits)
	if w.held != nil && (!j.retrying() && o.Submission != w.held.Submission || j.over()) {
		seen, w.said, w.held = append(seen, *w.held), w.held, nil
	}
	switch {
	case j.retrying():
		w.held = &o
		return seen
	case w.held != nil && o.Submission == w.held.Submission:
		return seen
	}
	return append(seen, w.next(o)...)
}

// next returns an observation, and before it the end of the submission that it takes the place of.
func (w *watched) next(o relay.Observation) (seen []relay.Observation) {
	j, before := w.job, w.said
	if before != nil && !before.Status.Terminal() && before.Submission != o.Submission {
		if !j.hasID() { // a queue or a person took what it ran on: it goes by its id until it has another one
			again := *before
			again.At, again.Waits = o.At, o.Waits
			if o.Status.Terminal() {
				again.Status, again.EndedAt, again.ErrorType, again.Message = o.Status, o.EndedAt, o.ErrorType, o.Message
			}
			o = again
		} else {
			seen = append(seen, w.replaced(*before, o))
		}
	}
	if before == nil && j.hasID() && j.Metadata.Labels[queueLabel] != "" && o.SubmittedAt.After(j.Metadata.CreationTimestamp) {
		// It went by its name while it was in the queue, perhaps in the words of a relay before this one.
		queued := o
		queued.Submission, queued.SubmittedAt, queued.DashboardURL = j.Metadata.Name, j.Metadata.CreationTimestamp.UTC(), ""
		seen = append(seen, w.replaced(queued, o))
	}
	w.taken = o.Waits != nil && o.Waits.Code == preempted || w.taken && before != nil && before.Submission == o.Submission
	w.said = &o
	return append(seen, o)
}

// replaced is the end of a submission that goes on under another id.
func (w *watched) replaced(o, by relay.Observation) relay.Observation {
	why := ""
	if w.taken {
		why = "what it ran on was taken (preempted): "
	}
	o.Waits, o.ErrorType = nil, ""
	o.Status, o.At, o.EndedAt = relay.Stopped, by.SubmittedAt, by.SubmittedAt
	o.Message = why + "the RayJob goes on as " + by.Submission
	return o
}

// same reports whether two observations say the same. Since when it has been known may differ.
func same(a, b *relay.Observation) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	if x.Waits != nil && y.Waits != nil {
		v, w := *x.Waits, *y.Waits
		v.At, w.At = time.Time{}, time.Time{}
		x.Waits, y.Waits = &v, &w
	}
	return reflect.DeepEqual(x, y)
}

// gone returns the observations for a deleted object: its job ends with it.
func (w *watched) gone(now time.Time) []relay.Observation {
	if w.held != nil {
		return []relay.Observation{*w.held}
	}
	if w.said == nil || w.said.Status.Terminal() {
		return nil
	}
	o := *w.said
	o.Waits, o.Status, o.Forgotten = nil, "", true
	o.At = now
	if t := w.job.Metadata.DeletionTimestamp; t != nil {
		o.At = t.UTC()
	}
	o.Evidence = fmt.Sprintf("RayJob %s/%s was deleted while %s", w.job.Metadata.Namespace, w.job.Metadata.Name, w.said.Status)
	return []relay.Observation{o}
}
