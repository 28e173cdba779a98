package answer

import (
	"cmp"
	"strconv"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// NewRow gives the list row of a batch at asOf. until is the moment at which its verdict changes without an event; 0: never.
func NewRow(d *judge.Derived, cases *judge.Cases, asOf, until int64) Row {
	v := d.View
	r := Row{
		erased: d.State.Erased,
		AsOf:   time.Unix(0, asOf).UTC(), Until: judge.Instant(until),
		BatchID: v.BatchID(), BatchName: d.BatchName(), Pipeline: optText(d.State.Pipeline),
		Owner: optText(d.State.Owner), Labels: judge.Raw(string(d.State.Labels.V)), Status: d.StatusText(),
		CurrentTier: d.CurrentTier(), TotalTiers: d.TotalTiers, OverallProgress: d.OverallProgress(),
		HasFailures: d.HasFailures, StartedAt: judge.Instant(d.Start), CompletedAt: judge.Instant(d.End),
		LastActivityAt: judge.Instant(d.State.Last), Revision: v.Revision,
	}
	health, reason, f := cases.Standing(asOf)
	r.Health, r.BlockedReason = health, orNull(reason)
	if f != nil {
		r.Cause, r.Sentence, r.Alike = orNull(string(f.Row.Code)), orNull(cases.Sentence(f)), orNull(f.Alike(d))
	}
	r.OrderedAt = orderedAt(d)
	r.Spark = spark(d)
	as := renderer{d: d, asOf: d.State.Last, brief: true} // as of the latest event, so that it changes with events only
	if e := as.eta(r.Health); e != nil {
		r.ETA = &RowETA{P50: e.P50, P90: e.P90}
	}
	return r
}

// ErasedAt is when the batch was erased; ok is false if it wasn't. No list shows the row of an erased batch.
func (r *Row) ErasedAt() (at time.Time, ok bool) {
	if r.erased == 0 {
		return at, false
	}
	return time.Unix(0, r.erased).UTC(), true
}

// orderedAt is when a batch was created, else submitted, else its earliest event.
func orderedAt(d *judge.Derived) time.Time {
	return time.Unix(0, cmp.Or(d.State.Created.T, d.Submitted(), d.State.First.Time)).UTC()
}

const maxSpark = 24

func spark(d *judge.Derived) []int64 {
	out := []int64{}
	t := d.TierAt(int32(d.CurrentTier()))
	if t == nil {
		return out
	}
	c := t.Curve()
	if len(c) < 2 {
		return out
	}
	from, to := c[0].At, c[len(c)-1].At
	parts := min(int64(len(c)-1), maxSpark)
	before := float64(c[0].N)
	for k := range parts {
		n := countAt(c, from+(to-from)*(k+1)/parts)
		out = append(out, int64(n)-int64(before))
		before = n
	}
	return out
}

// AppendJSON appends the row as one line of JSON. It is hand-written because it runs for every change of every view.
func (r *Row) AppendJSON(dst []byte) []byte {
	dst = event.AppendString(append(dst, `{"batch_id":`...), r.BatchID)
	dst = appendText(append(dst, `,"batch_name":`...), r.BatchName)
	dst = appendNullable(append(dst, `,"pipeline":`...), r.Pipeline)
	dst = appendNullable(append(dst, `,"owner":`...), r.Owner)
	dst = append(dst, `,"labels":`...)
	if len(r.Labels) == 0 {
		dst = append(dst, "null"...)
	}
	dst = appendRaw(dst, r.Labels)
	dst = event.AppendString(append(dst, `,"status":`...), r.Status)
	dst = event.AppendString(append(dst, `,"health":`...), r.Health.String())
	dst = appendNullable(append(dst, `,"blocked_reason":`...), r.BlockedReason)
	dst = appendNullable(append(dst, `,"cause":`...), r.Cause)
	if r.Sentence != nil {
		dst = appendText(append(dst, `,"sentence":`...), *r.Sentence)
	}
	if r.Alike != nil {
		dst = appendText(append(dst, `,"alike":`...), *r.Alike)
	}
	dst = strconv.AppendInt(append(dst, `,"current_tier":`...), int64(r.CurrentTier), 10)
	dst = strconv.AppendInt(append(dst, `,"total_tiers":`...), int64(r.TotalTiers), 10)
	dst = strconv.AppendFloat(append(dst, `,"overall_progress":`...), r.OverallProgress, 'f', -1, 64)
	dst = strconv.AppendBool(append(dst, `,"has_failures":`...), r.HasFailures)
	dst = appendTime(append(dst, `,"as_of":`...), &r.AsOf)
	dst = appendTime(append(dst, `,"until":`...), r.Until)
	dst = appendTime(append(dst, `,"ordered_at":`...), &r.OrderedAt)
	dst = appendTime(append(dst, `,"started_at":`...), r.StartedAt)
	dst = appendTime(append(dst, `,"completed_at":`...), r.CompletedAt)
	dst = appendTime(append(dst, `,"last_activity_at":`...), r.LastActivityAt)
	dst = strconv.AppendUint(append(dst, `,"revision":`...), r.Revision, 10)
	dst = append(dst, `,"spark":[`...)
	for i, n := range r.Spark {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, n, 10)
	}
	dst = append(dst, `],"eta":`...)
	if at, erased := r.ErasedAt(); erased {
		dst = appendTime(append(dst, `null,"erased_at":`...), &at)
		return append(dst, '}')
	}
	if r.ETA == nil {
		return append(dst, "null}"...)
	}
	dst = appendTime(append(dst, `{"p50":`...), &r.ETA.P50)
	dst = appendTime(append(dst, `,"p90":`...), &r.ETA.P90)
	return append(dst, "}}"...)
}

func appendNullable(dst []byte, s *string) []byte {
	if s == nil {
		return append(dst, "null"...)
	}
	return appendText(dst, *s)
}

func appendTime(dst []byte, t *time.Time) []byte {
	if t == nil {
		return append(dst, "null"...)
	}
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
}
