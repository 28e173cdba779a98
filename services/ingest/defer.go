package ingest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// deferMost is how long changes of an incomplete partition are gathered at most: so much is folded again after a crash.
const deferMost = 2 * time.Second

// flushBytes limits one commit of a flush.
const flushBytes = 2 << 20

// defers reports whether changes are gathered instead of committed: while the partition isn't complete, nobody is told of single
// changes, and the fewer commits there are, the sooner it is complete. The cursor waits with the views (rule 2).
func (p *partition) defers() bool { return !p.fence.Complete && p.mending == nil }

// deferCommit notes a view that has changed. It is committed by flush.
func (p *partition) deferCommit(e *entry, now time.Time) {
	if len(p.deferred) == 0 {
		p.deferredAt = now
	}
	e.dirty = true
	p.deferred = append(p.deferred, e)
}

func (p *partition) overdue() bool {
	return len(p.deferred) > 0 && time.Since(p.deferredAt) >= deferMost
}

// flush commits what is deferred, in several commits if need be. The last one moves the cursor.
func (p *partition) flush(ctx context.Context) error {
	for len(p.deferred) > 0 {
		n, size := 0, 0
		for n < min(len(p.deferred), viewstore.MaxCommitViews) && (n == 0 || size < flushBytes) {
			size += p.deferred[n].size
			n++
		}
		// What was committed for another reason meanwhile isn't dirty.
		dirty := slices.DeleteFunc(slices.Clone(p.deferred[:n]), func(e *entry) bool { return !e.dirty })
		if p.deferred = p.deferred[n:]; len(p.deferred) == 0 {
			p.deferred = nil
		}
		if err := p.commit(ctx, p.writes(dirty)); err != nil {
			return err
		}
	}
	return nil
}

// relieve packs, commits and forgets views if the process has more than its budget.
func (p *partition) relieve(ctx context.Context) error {
	if p.overdue() {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	if !p.budget.over() {
		return nil
	}
	p.cache.shrink(p.value)
	if !p.cache.full() || len(p.deferred) == 0 {
		return nil
	}
	if err := p.flush(ctx); err != nil {
		return err
	}
	p.cache.shrink(p.value)
	return nil
}

// value returns an entry's stored value, unless it can't be encoded.
func (p *partition) value(e *entry) (value []byte, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			p.encoder, ok = diagnostics.Encoder{}, false
		}
	}()
	p.scratch = p.encoder.Append(p.scratch[:0], e.view)
	return slices.Clone(p.scratch), true
}

// unpack decodes a packed view.
func (p *partition) unpack(ctx context.Context, e *entry) {
	view, err := diagnostics.Parse(e.packed)
	if err == nil {
		p.cache.unpack(e, view)
		return
	}
	if e.dirty {
		p.hold(e, position{p.fence.Cursor, p.fence.CursorTime})
	}
	p.logger.Error("decoding view failed", "partition", p.number, "namespace", e.key.Namespace, "batch", e.key.Batch, "error", err)
	p.rebuildView(ctx, e, reasonCorrupt)
}

// discard forgets the view of an entry.
func (p *partition) discard(e *entry) {
	if e.packed != nil {
		p.cache.unpack(e, nil)
	}
	e.view, e.row = nil, 0
}

// turn does what needs a processor when it is this partition's turn.
func (p *partition) turn(ctx context.Context, do func(context.Context) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("ingest: %w", ctx.Err())
	}
	defer func() { <-p.slots }()
	return do(ctx)
}
