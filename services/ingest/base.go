package ingest

import (
	"context"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// bases say how often the checkpoint of a batch is stored as a base, from which it is folded as of a past moment once events before are gone
// from the log, and how long it is kept (rule 35).
type bases struct {
	every time.Duration // a period, in whole seconds; 0: none are stored
	keep  time.Duration
}

// baseEvery is the longest period.
const baseEvery = 24 * time.Hour

// basesFor are the bases for a window of the log. Where all events stay, none are needed. The log keeps up to one period more than its
// window, so the period of a short window is a quarter of it.
func basesFor(window time.Duration) bases {
	b := bases{every: min(baseEvery, max(window, 0)/4).Truncate(time.Second)}
	if b.every > 0 {
		b.keep = window + b.every
	}
	return b
}

// period is one of bases; zero: none.
type period struct {
	begin time.Time
	keep  time.Duration
}

// basePeriod is the period for which the checkpoint of an entry has to be stored as a base before it is replaced: the present one, by the
// log's clock, if the checkpoint stands for a moment before. Otherwise that was done when it was stored itself.
func (p *partition) basePeriod(e *entry) period {
	if p.base.every <= 0 || e.expect == 0 || e.asOf == 0 {
		return period{}
	}
	begin := time.Unix(0, p.fence.Watermark).UTC().Truncate(p.base.every)
	if e.asOf >= begin.UnixNano() || e.mark.based.Equal(begin) {
		return period{}
	}
	return period{begin, p.base.keep}
}

// storeBase stores the checkpoint that is about to be replaced, if there is need to. Without it past moments are answered less far back, so
// a failure doesn't keep the new checkpoint, which holds the log.
func (p *partition) storeBase(ctx context.Context, generation string, s *storing) {
	if s.base.begin.IsZero() {
		return
	}
	stored, err := p.archive.StoreBase(ctx, generation, s.Namespace, s.Batch, s.expect, s.from, s.base.begin, s.base.keep)
	switch {
	case err != nil:
		s.base = period{}
		p.metrics.checkpoints.WithLabelValues("base_failed").Inc()
		p.logger.Warn("storing base failed, past moments of the batch are answered less far back", "partition", p.number, "namespace", s.Namespace, "batch", s.Batch, "error", err)
	case stored:
		p.metrics.checkpoints.WithLabelValues("base").Inc()
	}
}

// standsFor is the moment for which the committed view with a header stands: everything in it was stored by then, and everything of its
// batch that was stored before the cursor is in it. It is zero where the view is ahead of the cursor.
func (p *partition) standsFor(h diagnostics.Header) time.Time {
	if h.Revision > p.fence.Cursor || h.HealthSeq > p.fence.Cursor || p.fence.Watermark == 0 {
		return time.Time{}
	}
	return time.Unix(0, p.fence.Watermark).UTC()
}

// firstOf is the batch's first event in the log, if that is known: of a batch without a checkpoint the first that isn't covered, later what
// the checkpoint says.
func firstOf(e *entry, h diagnostics.Header) uint64 {
	switch {
	case e.expect > 0:
		return e.first
	case h.Incomplete || e.mark.from <= neverCovered:
		return 0
	}
	return e.mark.from
}

// told is what a checkpoint says of the moment that it stands for, in ns, and of the batch's first event; 0 where it isn't known on the
// present log.
func (p *partition) told(c *eventlog.Checkpoint) (asOf int64, first uint64) {
	if c.Identity != p.fence.Identity {
		return 0, 0
	}
	if !c.AsOf.IsZero() {
		asOf = c.AsOf.UnixNano()
	}
	return asOf, c.First
}
