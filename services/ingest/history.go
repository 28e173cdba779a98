package ingest

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// archive has the last state of each batch (rules 19–22): what the log doesn't have any more, and what Redis dropped.
type archive interface {
	HistoryInfo(ctx context.Context) (eventlog.HistoryInfo, error)
	Checkpoint(ctx context.Context, generation, namespace, batch string) (*eventlog.Checkpoint, error)
	StoreCheckpoint(ctx context.Context, generation string, c eventlog.Checkpoint, expect uint64, keep time.Duration) (uint64, error)
	StoreTombstone(ctx context.Context, generation string, c eventlog.Checkpoint) (overwritten int, err error)
	EachCheckpoint(ctx context.Context, info eventlog.HistoryInfo, partition int, do func(partition int, c eventlog.Checkpoint) error) error
	DropParts(ctx context.Context, generation, namespace, batch string) error
	CheckpointSubject(generation, namespace, batch string) string
}

// Rows are the list rows of finished batches in one generation of the history.
type Rows interface {
	Put(ctx context.Context, k history.Key, end time.Time, c history.Checkpoint, ttl time.Duration, row []byte) error
	RemoveOlder(ctx context.Context, k history.Key, end time.Time, checkpoint uint64) error
	Erase(ctx context.Context, k history.Key) (int, error)
}

// past is what a partition knows of its history.
type past struct {
	generation string
	born       uint64 // the log's first sequence ever
	holeEnd    uint64 // somebody removed events up to here before a checkpoint covered them; 0 if nobody did
	holeNoted  uint64 // where the log ended when that was noted

	gap    uint64 // at the claim, events up to here were gone that weren't folded
	looked uint64 // every view says so

	known map[uint64]struct{} // hashes of the batches that have a checkpoint; nil while that isn't known

	open     map[string]*mark // batches that no checkpoint covers
	marks    []viewstore.Mark // for the next commit
	storing  int              // checkpoints on their way
	stored   chan *storing    // those that have an answer
	restore  *restore         // views that are to be restored; nil once they are
	restored chan *restore    // what the scan of the history found
	reached  bool             // the log's end was reached since the claim
	whole    bool             // everything is restored
	dropAt   time.Time        // when views are dropped next
}

// mark says what of a batch no checkpoint covers.
type mark struct {
	from, last uint64    // first and last such event
	since      time.Time // when the first was folded here
	storing    bool
	retry      time.Time // not before
	failures   int
}

var nameSeed = maphash.MakeSeed()

func nameHash(namespace, batch string) uint64 {
	var h maphash.Hash
	h.SetSeed(nameSeed)
	_, _ = h.WriteString(namespace)
	_ = h.WriteByte('.')
	_, _ = h.WriteString(batch)
	return h.Sum64()
}

// touch notes that an event of a batch was folded. Events that change nothing count too: the view may be ahead of the cursor.
func (p *partition) touch(e *entry, seq uint64) {
	// Of a batch that has a row, or once had one, it isn't known whether the row is the right one (rule 34).
	if p.past.generation == "" || seq <= e.covers && !e.rowed {
		return
	}
	m := e.mark
	if m == nil {
		m = &mark{from: seq, since: time.Now()}
		e.mark, p.past.open[e.name] = m, m
		if !seeded.Bug("uncovered-not-written") {
			p.past.marks = append(p.past.marks, viewstore.Mark{Key: e.key, From: seq})
		}
	}
	m.from, m.last = min(m.from, seq), max(m.last, seq)
}

// recallAtOnce limits concurrent reads of checkpoints.
const recallAtOnce = 32

// recall looks for the checkpoints of batches that Redis doesn't have, before anything is folded onto them (rule 22).
func (p *partition) recall(ctx context.Context, missing []*entry) error {
	if p.past.generation == "" || seeded.Bug("fold-onto-nothing") {
		return nil
	}
	var wanted []*entry
	for _, e := range missing {
		if e.there() || e.rebuild != nil || e.recalled || e.counted != nil {
			continue
		}
		if p.past.known != nil {
			if _, has := p.past.known[nameHash(e.key.Namespace, e.key.Batch)]; !has {
				e.recalled = true
				continue
			}
		}
		wanted = append(wanted, e)
	}
	if len(wanted) == 0 {
		return nil
	}
	found, err := p.checkpoints(ctx, wanted)
	if err != nil {
		return err
	}
	for i, c := range found {
		p.adopt(wanted[i], c)
	}
	return nil
}

// checkpoints reads those of some entries; nil where there is none.
func (p *partition) checkpoints(ctx context.Context, of []*entry) ([]*eventlog.Checkpoint, error) {
	out := make([]*eventlog.Checkpoint, len(of))
	var g errgroup.Group
	g.SetLimit(recallAtOnce)
	for i, e := range of {
		g.Go(func() (err error) {
			for began := time.Now(); ; {
				out[i], err = p.archive.Checkpoint(ctx, p.past.generation, e.key.Namespace, e.key.Batch)
				if err == nil || ctx.Err() != nil || time.Since(began) > p.lease/2 {
					return err
				}
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	return out, nil
}

// adopt makes a checkpoint the view of an entry that has none, or nothing if there is no checkpoint.
func (p *partition) adopt(e *entry, c *eventlog.Checkpoint) {
	e.recalled = true
	if c == nil || e.there() || e.rebuild != nil {
		return
	}
	e.expect, e.rowed = c.Seq, c.Rowed || !c.Over.IsZero() || c.Erased
	view, err := p.parseCheckpoint(c)
	if err != nil {
		p.metrics.damage.WithLabelValues(reasonCheckpoint).Inc()
		p.logger.Error("checkpoint can't be read", "partition", p.number, "namespace", e.key.Namespace, "batch", e.key.Batch, "fold", c.Fold, "error", err)
		// What it has may be gone from the log, so it is never replaced.
		e.sealed = true
		return
	}
	e.view, e.covers = view, p.coversOf(c)
	p.cache.resize(e, len(c.Value))
}

var errNewerCheckpoint = errors.New("written by a newer version")

// parseCheckpoint returns the view of a checkpoint, with the header that holds for the present log.
func (p *partition) parseCheckpoint(c *eventlog.Checkpoint) (*diagnostics.View, error) {
	if c.Fold > diagnostics.FoldVersion {
		return nil, errNewerCheckpoint
	}
	view, err := diagnostics.Parse(c.Value)
	if err != nil {
		return nil, err
	}
	if c.Identity != p.fence.Identity {
		// The log was made again. Its numbers start anew, and what the batch said in between is lost (rule 30).
		view.Header = diagnostics.Header{Revision: max(1, p.past.born-1), Incomplete: view.Incomplete || c.Over.IsZero()}
		return view, nil
	}
	view.Incomplete = view.Incomplete || c.Covers < p.past.holeEnd
	return view, nil
}

func (p *partition) coversOf(c *eventlog.Checkpoint) uint64 {
	if c.Identity != p.fence.Identity {
		return 0
	}
	return c.Covers
}

// storing is a checkpoint on its way.
type storing struct {
	entry *entry
	mark  *mark
	eventlog.Checkpoint
	expect uint64
	row    []byte // of a batch that is over

	seq   uint64               // the answer
	found *eventlog.Checkpoint // the other one because of which it was refused
	err   error
}

const (
	maxStoring = 32              // checkpoints of one partition that are sent at once
	overAfter  = 2 * time.Second // so long after its last event the checkpoint of a finished batch is stored: others may follow
	retryAfter = time.Second     // after a failure; doubles with each
	retryMost  = 5 * time.Minute
)

// checkpointDue starts to store the checkpoints whose moment has come.
func (p *partition) checkpointDue(ctx context.Context, now time.Time) error {
	if p.past.generation == "" || !p.archives.Load() || p.mending != nil {
		return nil
	}
	var due []*entry
	var unknown []*entry
	for name, m := range p.past.open {
		if len(due) >= maxStoring-p.past.storing {
			break
		}
		if m.storing || m.from == 0 || now.Before(m.retry) || now.Sub(m.since) < min(overAfter, p.checkpointEvery) {
			continue
		}
		if now.Sub(m.since) < p.checkpointEvery && p.ends.of(name).IsZero() {
			continue
		}
		e := p.cache.get(name)
		if e == nil {
			e = p.cache.add(name)
			p.knowMark(e)
		}
		if e.rebuild != nil || e.dirty {
			continue
		}
		if !e.there() {
			unknown = append(unknown, e)
		}
		due = append(due, e)
	}
	if err := p.load(ctx, unknown); err != nil {
		return err
	}
	if err := p.recall(ctx, unknown); err != nil {
		return err
	}
	for _, e := range due {
		p.storeCheckpoint(ctx, e)
	}
	return nil
}

// knowMark connects a new entry with its batch's mark.
func (p *partition) knowMark(e *entry) { e.mark = p.past.open[e.name] }

// storeCheckpoint sends the committed view of an entry to the history, beside the worker.
func (p *partition) storeCheckpoint(ctx context.Context, e *entry) {
	m := e.mark
	if m == nil || e.dirty || !e.there() || e.rebuild != nil || p.fence.Cursor < m.from {
		return
	}
	value, view := e.packed, e.view
	if value == nil {
		var ok bool
		if value, ok = p.value(e); !ok {
			return
		}
	} else {
		var err error
		if view, err = diagnostics.Parse(value); err != nil {
			return
		}
	}
	s := &storing{entry: e, mark: m, expect: e.expect, Checkpoint: eventlog.Checkpoint{
		Namespace: e.key.Namespace, Batch: e.key.Batch, Identity: p.fence.Identity, Covers: p.fence.Cursor,
		Fold: p.fence.Fold, Rowed: e.rowed, Value: value,
	}}
	summary := diagnostics.Summarize(view, p.fence.AsOf(), p.policies.For(e.key.Namespace))
	if _, s.Erased = view.ErasedAt(); !s.Erased {
		s.Over = endOf(&summary.Row)
	}
	if e.sealed && !s.Erased {
		m.retry = time.Now().Add(retryMost)
		return
	}
	if !s.Over.IsZero() {
		s.row = summary.Row.AppendJSON(nil)
	}
	keep := time.Duration(0)
	if !s.Over.IsZero() {
		keep = p.historyAge(e.key.Namespace)
	}
	m.storing = true
	p.past.storing++
	if seeded.Bug("entry-removed-early") {
		p.covered(e, m, s.Covers)
	}
	generation := p.past.generation
	p.wg.Go(func() {
		if s.Erased {
			s.err = p.storeTombstone(ctx, generation, s)
		} else {
			p.storeState(ctx, generation, s, keep)
		}
		select {
		case p.past.stored <- s:
		case <-ctx.Done():
		}
	})
}

func (p *partition) storeState(ctx context.Context, generation string, s *storing, keep time.Duration) {
	s.seq, s.err = p.archive.StoreCheckpoint(ctx, generation, s.Checkpoint, s.expect, keep)
	var wrong eventlog.WrongLastError
	if errors.As(s.err, &wrong) {
		s.found, s.err = p.archive.Checkpoint(ctx, generation, s.Namespace, s.Batch)
	}
	if s.err == nil && s.found == nil {
		s.err = p.storeRow(ctx, generation, s, keep)
	}
	if s.err == nil && len(s.Value) > partsFrom {
		_ = p.archive.DropParts(ctx, generation, s.Namespace, s.Batch) // what stays is removed after a later one
	}
}

// storeTombstone stores the tombstone of an erased batch, and removes its rows (rule 28). Usually it is there already: whoever erases the
// batch stores it, and overwrites the rows.
func (p *partition) storeTombstone(ctx context.Context, generation string, s *storing) error {
	if _, err := p.archive.StoreTombstone(ctx, generation, s.Checkpoint); err != nil {
		return err
	}
	c, err := p.archive.Checkpoint(ctx, generation, s.Namespace, s.Batch)
	switch {
	case err != nil:
		return err
	case c == nil || !c.Erased:
		return errNoTombstone
	}
	s.seq = c.Seq
	if p.rows == nil {
		return nil
	}
	_, err = p.rows.Erase(ctx, history.Key{Partition: p.number, Namespace: s.Namespace, Batch: s.Batch})
	return err
}

var errNoTombstone = errors.New("the tombstone isn't there")

// storeRow stores the row that follows from a checkpoint that was just acknowledged, and removes those of earlier ones (rule 34).
func (p *partition) storeRow(ctx context.Context, generation string, s *storing, keep time.Duration) error {
	if p.rows == nil {
		return nil
	}
	k := history.Key{Partition: p.number, Namespace: s.Namespace, Batch: s.Batch}
	if s.row != nil {
		c := history.Checkpoint{Subject: p.archive.CheckpointSubject(generation, s.Namespace, s.Batch), Seq: s.seq}
		if keep > 0 {
			keep -= time.Second // it must not outlive its checkpoint
		}
		if err := p.rows.Put(ctx, k, s.Over, c, keep, s.row); err != nil {
			return err
		}
	}
	if !s.Rowed {
		return nil
	}
	return p.rows.RemoveOlder(ctx, k, s.Over, s.seq)
}

// partsFrom is the size of values of which earlier ones may have been stored in parts.
const partsFrom = 256 << 10

// checkpointStored takes the answer. An acknowledged checkpoint is noted in the next commit (rule 21). If another one was found, the
// view joins it, and the next try replaces that one (rule 20).
func (p *partition) checkpointStored(ctx context.Context, s *storing) error {
	p.past.storing--
	e, m := s.entry, s.mark
	m.storing = false
	if s.err != nil {
		m.failures++
		m.retry = time.Now().Add(min(retryAfter<<min(m.failures-1, 10), retryMost))
		p.metrics.checkpoints.WithLabelValues("failed").Inc()
		p.logger.Warn("storing checkpoint failed, will retry", "partition", p.number, "namespace", s.Namespace, "batch", s.Batch, "error", s.err)
		return nil
	}
	if current := p.cache.get(e.name); current != nil {
		e = current
	}
	c := s.found
	if c == nil {
		m.failures = 0
		p.metrics.checkpoints.WithLabelValues("stored").Inc()
		e.expect, e.recalled, e.rowed = s.seq, true, s.Rowed || s.row != nil || s.Erased
		p.covered(e, m, s.Covers)
		return p.commit(ctx, nil)
	}
	p.metrics.checkpoints.WithLabelValues("joined").Inc()
	if !e.there() && e.rebuild == nil {
		if err := p.load(ctx, []*entry{e}); err != nil {
			return err
		}
	}
	if e.packed != nil {
		p.unpack(ctx, e)
	}
	if e.rebuild != nil || e.view == nil {
		return nil // later
	}
	other, err := p.parseCheckpoint(c)
	if err != nil {
		p.metrics.damage.WithLabelValues(reasonCheckpoint).Inc()
		p.logger.Error("checkpoint can't be read", "partition", p.number, "namespace", s.Namespace, "batch", s.Batch, "fold", c.Fold, "error", err)
		e.sealed = true
		return nil
	}
	e.expect, e.recalled, e.rowed = c.Seq, true, e.rowed || c.Rowed || !c.Over.IsZero() || c.Erased
	before := e.view.Append(nil)
	incomplete := e.view.Incomplete
	diagnostics.Join(e.view, other)
	if c.Identity == p.fence.Identity {
		// That of the greater coverage holds.
		if e.view.Incomplete = incomplete; c.Covers > p.fence.Cursor {
			e.view.Incomplete = other.Incomplete
		}
	}
	// Even if it is this one, and the answer of an earlier try was lost, it is stored again: its row may be missing.
	var writes []viewstore.Write
	if after := e.view.Append(nil); string(after) != string(before) {
		writes = p.writes([]*entry{e})
	}
	return p.commit(ctx, writes)
}

// covered notes that a checkpoint covers a batch up to a sequence.
func (p *partition) covered(e *entry, m *mark, covers uint64) {
	e.covers = max(e.covers, covers)
	key := e.key
	if m.last > covers {
		m.from, m.since = covers+1, time.Now()
		p.past.marks = append(p.past.marks, viewstore.Mark{Key: key, From: m.from})
		return
	}
	delete(p.past.open, e.name)
	if e.mark == m {
		e.mark = nil
	}
	p.past.marks = append(p.past.marks, viewstore.Mark{Key: key})
}

// dropEvery is the interval at which finished views are looked for that Redis needn't have any more.
const dropEvery = 10 * time.Second

// dropPage is how many views one step drops.
const dropPage = 200

// dropFinished removes views from Redis whose batch ended long ago and that a checkpoint covers (rule 22).
func (p *partition) dropFinished(ctx context.Context, now time.Time) error {
	if p.past.generation == "" || !p.fence.Complete || now.Before(p.past.dropAt) || !p.archives.Load() {
		return nil
	}
	p.past.dropAt = now.Add(min(dropEvery, p.checkpointEvery))
	keys := p.ends.those(dropPage, func(namespace, name string, end time.Time) bool {
		if keep := p.redisKeep(namespace); keep <= 0 || time.Unix(0, p.fence.Watermark).Sub(end) < keep {
			return false
		}
		if p.past.open[name] != nil && !seeded.Bug("drop-uncovered") {
			return false
		}
		e := p.cache.byName[name]
		return e == nil || !e.pinned()
	})
	if len(keys) == 0 {
		return nil
	}
	next := p.fence
	next.Commits++
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit(nil))
	defer cancel()
	f, err := p.store.Drop(try, p.number, p.fence, next, p.lease, keys)
	var damaged viewstore.DamagedError
	switch {
	case errors.As(err, &damaged):
		return p.inspect(ctx, nil)
	case err != nil:
		return fmt.Errorf("ingest: %w", err)
	}
	p.metrics.droppedViews.Add(float64(p.fence.Views - f.Views))
	p.fence = f
	// Those that stayed because something is due for them are dropped later.
	for _, k := range keys {
		name := k.Namespace + "." + k.Batch
		if e := p.cache.byName[name]; e != nil {
			p.cache.forget(e)
		}
		p.ends.forget(name)
	}
	if len(keys) == dropPage {
		p.past.dropAt = now
	}
	return nil
}

// restore is the views that have to be in Redis although it has lost them: those of active batches and of batches that ended lately.
type restore struct {
	known  map[uint64]struct{}
	wanted []viewstore.Key
}

// takeRestore restores one page of views.
func (p *partition) takeRestore(ctx context.Context) error {
	r := p.past.restore
	n := min(len(r.wanted), loadPage)
	var missing []*entry
	for _, k := range r.wanted[:n] {
		name := k.Namespace + "." + k.Batch
		e := p.cache.get(name)
		if e == nil {
			e = p.cache.add(name)
			p.knowMark(e)
		}
		if !e.there() && e.rebuild == nil {
			missing = append(missing, e)
		}
	}
	if p.fence.Views > 0 {
		if err := p.load(ctx, missing); err != nil {
			return err
		}
	}
	if err := p.recall(ctx, missing); err != nil {
		return err
	}
	var dirty []*entry
	for _, e := range missing {
		if e.view != nil && e.counted == nil && e.rebuild == nil && !e.dirty {
			dirty = append(dirty, e)
		}
	}
	if err := p.commit(ctx, p.writes(dirty)); err != nil {
		return err
	}
	if r.wanted = r.wanted[n:]; len(r.wanted) == 0 {
		p.past.restore = nil
		p.past.whole = true // which the next commit writes
		p.logger.Debug("views restored from the history", "partition", p.number)
	}
	return p.relieve(ctx)
}

// restoring is ready while there is a page to restore. That waits until the log is folded to its end: what has events there is loaded for
// them, and the rows of the others are judged as of that moment, not of one that is long gone.
func (p *past) restoring() <-chan struct{} {
	if p.restore == nil || !p.reached {
		return nil
	}
	return always
}

// scan reads the history once for partitions that have to be restored, and hands each what it found.
func (e *epoch) scan(ctx context.Context, of []*partition) {
	only := -1
	if len(of) == 1 {
		only = of[0].number
	}
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		found, err := e.readHistory(ctx, of, only)
		if err == nil {
			for _, p := range of {
				p.past.restored <- found[p.number] // it has room for one
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		e.logger.Warn("reading the history failed, will retry", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry.NextBackOff()):
		}
	}
}

func (e *epoch) readHistory(ctx context.Context, of []*partition, only int) (map[int]*restore, error) {
	found := map[int]*restore{}
	for _, p := range of {
		found[p.number] = &restore{known: map[uint64]struct{}{}}
	}
	info, err := e.archive.HistoryInfo(ctx)
	if err != nil {
		return nil, err
	}
	if info.Generation != e.history {
		e.fail(errHistoryChanged)
		return nil, errHistoryChanged
	}
	now := time.Now()
	err = e.archive.EachCheckpoint(ctx, info, only, func(number int, c eventlog.Checkpoint) error {
		r := found[number]
		if r == nil {
			return nil
		}
		hash := nameHash(c.Namespace, c.Batch)
		if _, again := r.known[hash]; again {
			return nil
		}
		r.known[hash] = struct{}{}
		keep := e.redisKeep(c.Namespace)
		// A batch may have been reported long after its end. A tombstone is read when somebody asks for it.
		if !c.Erased && (c.Over.IsZero() || keep <= 0 || min(now.Sub(c.Over), now.Sub(c.Stored)) < keep) {
			r.wanted = append(r.wanted, viewstore.Key{Namespace: c.Namespace, Batch: c.Batch})
		}
		return nil
	})
	return found, err
}

var errHistoryChanged = errors.New("the history was made again")
