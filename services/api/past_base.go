package api

import (
	"context"
	"errors"
	"sort"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/folding"
)

// base is the newest state of the batch that was stored before the moment and after which the log has all events: its last checkpoint,
// or one that was kept when it was replaced (rule 35). If there is none, it is nil, and from is the first moment for which there is one, or zero.
// At most three states are read, and the logarithm of the number of those kept.
func (r *pastReader) base(ctx context.Context, generation string, head *eventlog.Base, info eventlog.Info) (b *eventlog.Base, from time.Time, err error) {
	ns, batch := r.present.Namespace, r.present.Batch
	if head != nil && !r.follows(head, info) {
		head = nil
	}
	if head != nil && !head.AsOf.After(r.at) {
		return head, from, nil
	}
	periods, err := r.past.log.Periods(ctx, generation, ns, batch)
	if err != nil {
		return nil, from, err
	}
	read := func(period time.Time) (*eventlog.Base, error) {
		b, err := r.past.log.Base(ctx, generation, ns, batch, period)
		if err != nil || b == nil || !r.follows(b, info) {
			return nil, err
		}
		return b, nil
	}
	// The base of a period was stored in it, and stands for a moment before it.
	after := sort.Search(len(periods), func(i int) bool { return periods[i].After(r.at) })
	for i := min(after, len(periods)-1); i >= max(after-1, 0); i-- {
		if b, err := read(periods[i]); err != nil || b != nil && !b.AsOf.After(r.at) {
			return b, from, err
		}
	}
	// The younger a base, the fewer events after it are gone.
	var failed error
	sort.Search(len(periods)-after, func(i int) bool {
		b, err := read(periods[after+i])
		if err != nil || b == nil {
			failed = errors.Join(failed, err)
			return false
		}
		if b.AsOf.After(r.at) && (from.IsZero() || b.AsOf.Before(from)) {
			from = b.AsOf
		}
		return true
	})
	if from.IsZero() && head != nil {
		from = head.AsOf
	}
	return nil, from, failed
}

// head is the last checkpoint of the batch; nil if there is none. Everything that is gone from the log up to the floor is in it: it is
// read after both. Beyond the floor somebody else removed events. all reports whether the log has all events of the batch.
func (r *pastReader) head(ctx context.Context, generation string, info eventlog.Info) (b *eventlog.Base, all bool, err error) {
	floor, err := r.past.log.ReadFloor(ctx, generation)
	if err != nil {
		return nil, false, err
	}
	covered := floor.Identity == info.Identity && info.First-1 <= floor.Covered
	c, err := r.past.log.Checkpoint(ctx, generation, r.present.Namespace, r.present.Batch)
	if err != nil || c == nil {
		return nil, err == nil && covered && !r.present.Incomplete, err
	}
	b = &eventlog.Base{Checkpoint: *c, Next: c.Covers + 1}
	if covered {
		b.Next = max(b.Next, info.First)
	}
	return b, c.Identity == info.Identity && c.First >= info.First && !c.Erased && !r.present.Incomplete, nil
}

// follows reports whether the log has all events that aren't in b, and whether this version would have made of the others what b has.
func (r *pastReader) follows(b *eventlog.Base, info eventlog.Info) bool {
	if b.Identity != info.Identity || b.Fold != diagnostics.FoldVersion || b.Erased || b.AsOf.IsZero() || b.Next < info.First {
		return false
	}
	// Since when a batch is incomplete isn't known.
	h, err := diagnostics.ParseHeader(b.Value)
	return err == nil && h.Incomplete == r.present.Incomplete
}

// foldOnto folds the messages after b up to the moment onto it.
func (r *pastReader) foldOnto(ctx context.Context, info eventlog.Info, last eventlog.Message, b *eventlog.Base) (*diagnostics.View, error) {
	view, err := diagnostics.Parse(b.Value)
	if err != nil {
		return nil, err
	}
	announced := view.HealthSeq
	err = r.past.log.ReadBatch(ctx, eventlog.BatchOptions{
		Partition: last.Partition, Namespace: view.Namespace, Batch: view.Batch, From: max(b.Covers+1, info.First), To: last.Seq, Identity: info.Identity,
	}, func(m eventlog.Message) error {
		if m.Stored.After(r.at) {
			return errEnough
		}
		if r.read++; r.read > r.past.most {
			return r.tooMany()
		}
		_, err := r.take(view, &m)
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if err := r.stillThere(ctx, info, func(now eventlog.Info) bool { return b.Next >= now.First }); err != nil {
		return nil, err
	}
	if view.HealthSeq > announced {
		return view, nil
	}
	return view, r.announcedUpTo(ctx, announced)
}

// announcedUpTo reads the last announcement up to a sequence, which may be gone from the log, from where changes of health are kept longer.
func (r *pastReader) announcedUpTo(ctx context.Context, seq uint64) error {
	if seq == 0 {
		return nil
	}
	return r.past.log.ReadAnnounced(ctx, r.present.Namespace, r.present.Batch, seq, func(m eventlog.Message) error {
		if r.read++; r.read > r.past.most {
			return r.tooMany()
		}
		if e, no := folding.Decode(&r.decoder, &m); no == nil {
			r.announced = diagnostics.HealthFacts{AsOf: e.HealthFacts.AsOf, PolicyHash: strings.Clone(e.HealthFacts.PolicyHash)}
		}
		return nil
	})
}
