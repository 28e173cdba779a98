package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// maxRebuilds: if more views than this are missing, reading the whole partition again is faster.
const maxRebuilds = 2048

var errVoid = errors.New("partition is being rebuilt from the log")

// mending refills due index, lists and rows after some of them were lost: page by page, between folds. The
// partition isn't complete meanwhile.
type mending struct {
	cursor uint64
	done   bool // all pages are done; only views that are being rebuilt may be missing
}

var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// next is ready while there is a page to refill.
func (m *mending) next() <-chan struct{} {
	if m == nil || m.done {
		return nil
	}
	return always
}

// damaged handles the damage that a heartbeat found.
func (p *partition) damaged(ctx context.Context, d viewstore.Damage) error {
	if d.Indexes() && p.mending == nil { // otherwise it is being repaired already
		if err := p.inspect(ctx, slices.Collect(maps.Keys(d.Lists))); err != nil {
			return err
		}
	}
	return p.lookAgain(ctx, d.Views, reasonMissing)
}

// inspect looks for damage of catalogue and indexes, and repairs it: the catalogue from the lists, the others from the views.
// If that isn't possible, the whole partition is rebuilt.
func (p *partition) inspect(ctx context.Context, namespaces []string) error {
	for range 2 {
		found, err := p.store.Verify(ctx, []viewstore.Look{{Partition: p.number, AlwaysTheseAsWell: namespaces}})
		if err != nil {
			return fmt.Errorf("ingest: %w", err)
		}
		d := found[0]
		if d.Uncovered {
			return p.void(ctx, "the index of what no checkpoint covers doesn't hold what is counted")
		}
		if d.Catalogue {
			p.metrics.damage.WithLabelValues(reasonCatalogue).Inc()
			ok, err := p.store.Recatalogue(ctx, p.number, p.fence)
			if err != nil {
				return fmt.Errorf("ingest: %w", err)
			}
			if !ok {
				return p.void(ctx, "neither catalogue nor lists hold what is counted")
			}
			p.logger.Warn("catalogue rebuilt from the lists", "partition", p.number)
			continue
		}
		if !d.Indexes() {
			return nil
		}
		p.metrics.damage.WithLabelValues(reasonIndexes).Inc()
		if err := p.store.Reindex(ctx, p.number, p.fence, d); err != nil {
			return fmt.Errorf("ingest: %w", err)
		}
		p.logger.Warn("rebuilding indexes from the views", "partition", p.number, "due", d.Due,
			"counts", d.Namespaces, "namespaces", len(d.Lists))
		p.mending = &mending{}
		p.cache.each(func(e *entry) { e.row = 0 }) // every row is written again
		return nil
	}
	return nil
}

// void gives up the partition: its next owner, which may be this process, reads it from the log again.
func (p *partition) void(ctx context.Context, why string) error {
	p.metrics.damage.WithLabelValues(reasonPartition).Inc()
	if err := p.store.Void(ctx, p.number, p.fence); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	return fmt.Errorf("%w: %s", errVoid, why)
}

// refill fills one page of the indexes.
func (p *partition) refill(ctx context.Context) error {
	keys, next, err := p.store.Page(ctx, p.number, p.mending.cursor)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	m := p.mending
	if err := p.rewrite(ctx, keys, func(*diagnostics.View) {}); err != nil {
		return err
	}
	if p.mending != m {
		return nil // it has been restarted
	}
	m.cursor, m.done = next, next == 0
	return p.refilled(ctx)
}

// refilled ends the repair once nothing is left to refill.
func (p *partition) refilled(ctx context.Context) error {
	if p.mending == nil || !p.mending.done || p.rebuilding > 0 {
		return nil
	}
	var dirty []*entry // views that are held back aren't in the indexes yet
	for e := range p.held {
		dirty = append(dirty, e)
	}
	if err := p.commit(ctx, p.writes(dirty)); err != nil {
		return err
	}
	if p.mending != nil && p.mending.done {
		p.mending = nil
		p.logger.Info("indexes rebuilt", "partition", p.number)
	}
	return nil
}

// rewrite writes views again, after applying change.
func (p *partition) rewrite(ctx context.Context, keys []viewstore.Key, change func(*diagnostics.View)) error {
	for len(keys) > 0 {
		page := keys[:min(loadPage, len(keys))]
		keys = keys[len(page):]
		values, err := p.read(ctx, page)
		if err != nil {
			return err
		}
		var dirty []*entry
		for i, v := range values {
			e := p.cache.get(page[i].Namespace + "." + page[i].Batch)
			if e == nil {
				e = p.cache.add(page[i].Namespace + "." + page[i].Batch)
			}
			if e.packed != nil {
				p.unpack(ctx, e)
			}
			p.place(ctx, e, v)
			if e.view != nil && e.rebuild == nil && !p.held[e] {
				change(e.view)
				e.row = 0
				dirty = append(dirty, e)
			}
		}
		if err := p.commit(ctx, p.writes(dirty)); err != nil {
			return err
		}
		if err := p.relieve(ctx); err != nil {
			return err
		}
	}
	return nil
}

// flagAll marks every view of the partition as incomplete.
func (p *partition) flagAll(ctx context.Context) error {
	for cursor := uint64(0); ; {
		keys, next, err := p.store.Page(ctx, p.number, cursor)
		if err != nil {
			return fmt.Errorf("ingest: %w", err)
		}
		if err := p.rewrite(ctx, keys, func(v *diagnostics.View) { v.Incomplete = true }); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
