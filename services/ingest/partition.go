package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// partition is one owned partition. The expected fence, the views cached under it and the queue of messages
// belong together, and are dropped together (rule 2).
type partition struct {
	*needs

	number int
	token  string
	queue  *queue

	// Used by the worker only.
	fence      viewstore.Fence
	folded     position // everything up to here is folded, though the cursor may be held before it
	judged     int64    // the latest moment as of which a folded announcement was made
	letters    *letters
	held       map[*entry]bool // dirty views that aren't committed with the cursor, which is held before their events
	deferred   []*entry        // dirty views of an incomplete partition; the cursor waits for all of them
	deferredAt time.Time       // since when there are some
	cache      *cache
	entries    []*entry // of the messages that are being folded
	census     *census  // also read by scrapes
	ends       *ends    // also used by its counting
	past       past
	decoder    diagnostics.Decoder
	encoder    diagnostics.Encoder
	buffer     []byte // of the values of a commit
	scratch    []byte
	pending    *beat
	mending    *mending // due index, lists and rows are being filled again
	rebuilding int      // number of batches that are being rebuilt
	rescore    bool     // the due index was computed under another policy
	incomplete bool     // events before the cursor were lost: views folded until the partition is complete are flagged

	beats   chan beat             // the newest heartbeat
	damages chan viewstore.Damage // the newest damage found
	corrupt chan viewstore.Key    // views that the API or a sweep found unreadable
	rebuilt chan *rebuild
	state   atomic.Pointer[state] // for other goroutines
	reading atomic.Uint64         // the sequence up to which it has folded, committed or not; likewise

	once    sync.Once
	stopped chan struct{}
	why     error
}

// state of a partition, as of its last commit.
type state struct {
	complete  bool
	watermark time.Time
	asOf      time.Time
	cursor    uint64
	failure   error // why the last attempt of a commit failed
}

func newToken() string { return rand.Text() }

func newPartition(n *needs, number int, f viewstore.Fence, incomplete bool) *partition {
	p := &partition{
		needs: n, number: number, token: f.Token, queue: n.router.queue(number, f.Cursor),
		fence: f, folded: position{f.Cursor, f.CursorTime}, letters: newLetters(n, number), held: map[*entry]bool{},
		cache: newCache(n.budget), census: newCensus(), ends: newEnds(), incomplete: incomplete,
		past:  past{open: map[string]*mark{}, stored: make(chan *storing, maxStoring), restored: make(chan *restore, 1)},
		beats: make(chan beat, 1), damages: make(chan viewstore.Damage, 1), corrupt: make(chan viewstore.Key, 16),
		rebuilt: make(chan *rebuild), stopped: make(chan struct{}),
	}
	p.state.Store(&state{watermark: time.Unix(0, f.Watermark), asOf: f.AsOf(), cursor: f.Cursor})
	return p
}

// stop ends the worker, and reports whether it is the first to do so. The first reason counts.
func (p *partition) stop(why error) (first bool) {
	p.once.Do(func() {
		p.why, first = why, true
		close(p.stopped)
	})
	return first
}

// poke passes on a heartbeat, and replaces one that isn't taken yet.
func (p *partition) poke(b beat) {
	for {
		select {
		case p.beats <- b:
			return
		default:
		}
		select {
		case <-p.beats:
		default:
		}
	}
}

// found passes on damage. If the worker is busy it is dropped and found again later, unless wait is set.
func (p *partition) found(ctx context.Context, d viewstore.Damage, wait bool) {
	if !wait {
		select {
		case p.damages <- d:
		default:
		}
		return
	}
	select {
	case p.damages <- d:
	case <-p.stopped:
	case <-ctx.Done():
	}
}

// choreEvery is the interval at which checkpoints that are due and views that can be dropped are looked for.
const choreEvery = time.Second

// releaseLimit limits the time for releasing a partition.
const releaseLimit = 300 * time.Millisecond

// run folds until the partition, which the router has, is stopped, a write is refused, or ctx ends. On an orderly end it releases
// the partition.
func (p *partition) run(ctx context.Context) error {
	p.budget.owned.Add(1)
	defer p.budget.owned.Add(-1)
	defer p.cache.drop()
	defer p.letters.drop()
	own, cancel := context.WithCancel(ctx) // for goroutines beside it
	defer cancel()
	defer p.router.remove(p.queue)
	p.metrics.batches.add(p)
	defer p.metrics.batches.remove(p)
	err := p.work(own)
	p.stop(err)
	if ctx.Err() != nil || errors.Is(err, errReleased) {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
		defer cancel()
		if err := p.store.Release(release, p.number, p.fence); err != nil {
			p.logger.Debug("releasing partition failed, its lease will expire", "partition", p.number, "error", err)
		}
	}
	return err
}

func (p *partition) work(ctx context.Context) error {
	if p.incomplete {
		p.logger.Error("events lost before they were folded, views are incomplete", "partition", p.number, "cursor", p.fence.Cursor)
		if err := p.flagAll(ctx); err != nil {
			return err
		}
		p.past.looked = p.past.gap
	}
	p.wg.Go(func() { p.sweep(ctx) })
	p.wg.Go(func() { p.enterStored(ctx) })
	later := time.NewTimer(time.Hour)
	defer later.Stop()
	chores := time.NewTicker(min(choreEvery, max(p.checkpointEvery/2, time.Millisecond)))
	defer chores.Stop()
	stalled := false
	for {
		if full := p.letters.full(); full != stalled {
			stalled = full
			p.stall(ctx, full)
		}
		signal := p.queue.signal
		if stalled {
			signal = nil
		}
		if wait, ok := p.nextHeld(); ok {
			if wait <= 0 {
				if err := p.commitHeld(ctx, time.Now()); err != nil {
					return err
				}
				continue
			}
			later.Reset(wait)
		}
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.stopped:
			return p.why
		case b := <-p.beats:
			p.pending = &b
		case <-signal:
			err = p.foldQueued(ctx)
		case <-p.letters.stored:
			if p.progress().Cursor > p.fence.Cursor {
				err = p.commit(ctx, nil)
			}
		case <-later.C:
		case d := <-p.damages:
			err = p.damaged(ctx, d)
		case k := <-p.corrupt:
			err = p.lookAgain(ctx, []viewstore.Key{k}, reasonCorrupt)
		case r := <-p.rebuilt:
			err = p.takeRebuilt(ctx, r)
		case <-p.mending.next():
			err = p.refill(ctx)
		case s := <-p.past.stored:
			err = p.checkpointStored(ctx, s)
		case r := <-p.past.restored:
			p.past.restore, p.past.known = r, r.known
		case <-p.past.restoring():
			err = p.turn(ctx, p.takeRestore)
		case now := <-chores.C:
			if err = p.checkpointDue(ctx, now); err == nil {
				err = p.dropFinished(ctx, now)
			}
		}
		if err == nil {
			err = p.settleBeat(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// stall stops or resumes taking from the queue. While it is stopped the main reader continues without this partition, which
// then has to read what it missed by itself.
func (p *partition) stall(ctx context.Context, on bool) {
	p.queue.stall(on)
	if on {
		p.logger.Error("partition stopped, too many dead letters can't be stored", "partition", p.number)
		return
	}
	if !p.queue.attached() {
		p.wg.Go(func() { p.catchUp(ctx, []*queue{p.queue}) })
	}
}

// foldQueued folds what is queued, when it is this partition's turn.
func (p *partition) foldQueued(ctx context.Context) error {
	return p.turn(ctx, func(ctx context.Context) error {
		batch, _ := p.queue.take(p.maxBatch)
		if err := p.foldBatch(ctx, batch); err != nil {
			return err
		}
		p.queue.reuse(batch)
		return nil
	})
}

// settleBeat advances the fence to the last heartbeat, once everything up to it is folded; until
// then it only renews the lease.
func (p *partition) settleBeat(ctx context.Context) error {
	b := p.pending
	if b == nil {
		return nil
	}
	if err := p.lookedAt(ctx, b); err != nil {
		return err
	}
	settled := p.queue.before(b.cursor) || seeded.Bug("cursor-passes-queue")
	if len(p.deferred) > 0 {
		if settled = settled && b.caughtUp; settled || p.overdue() {
			if err := p.turn(ctx, p.flush); err != nil {
				return err
			}
		}
	}
	to := p.progress()
	to.EndSeen, to.GoneBefore, to.Looked = b.end, b.gone, max(b.looked, p.past.looked)
	if settled {
		p.pending = nil
		if b.cursor > p.folded.seq {
			p.folded = position{b.cursor, b.stored}
			to.Cursor, to.CursorTime = p.cursor()
		}
		if len(p.held) == 0 { // otherwise the committed views don't include everything stored before
			to.Watermark = max(to.Watermark, b.watermark.UnixNano())
			p.past.reached = p.past.reached || b.caughtUp && b.asked.After(p.queue.attachedAt())
			to.Complete = (to.Complete || p.past.reached) && p.mending == nil && p.whole()
		}
	} else if time.Until(time.UnixMilli(p.fence.LeaseUntil)) > p.lease/2 {
		return nil
	}
	if err := p.commitTo(ctx, to, nil); err != nil {
		return err
	}
	if p.fence.Complete {
		p.incomplete = false
	}
	return nil
}

// whole reports whether every batch of the history that must have a view has one.
func (p *partition) whole() bool { return p.fence.Restored || p.past.whole || p.past.generation == "" }

var errGap = errors.New("events were removed from the log that this partition hasn't folded")

// lookedAt compares the log's first sequence, as a heartbeat found it, with the position of the look before (rule 24). After a gap the
// partition begins from nothing, because what Redis has may be erased or retired since. But where somebody else removed events that no
// checkpoint covers, Redis may have the only copy: it stays, and is flagged.
func (p *partition) lookedAt(ctx context.Context, b *beat) error {
	if p.past.generation == "" || b.first <= p.fence.Looked+1 || seeded.Bug("no-look") {
		return nil
	}
	if p.onlyCopy() || b.first-1 > b.covered {
		if !p.incomplete {
			p.incomplete = true
			if err := p.flagAll(ctx); err != nil {
				return err
			}
			p.past.looked = b.first - 1
		}
		return nil
	}
	p.logger.Error("events were removed before they were folded, rebuilding the partition from history and log", "partition", p.number, "looked", p.fence.Looked, "first", b.first)
	p.metrics.damage.WithLabelValues(reasonPartition).Inc()
	if err := p.store.Wipe(ctx, p.number, p.fence); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	return errGap
}

// onlyCopy reports whether Redis may be the only place that has some of this partition's batches: the history was made again, and not all
// of them are covered anew (rule 30).
func (p *partition) onlyCopy() bool {
	for _, m := range p.past.open {
		if m.from <= neverCovered {
			return true
		}
	}
	return false
}

// cursor is how far the fence's cursor may go: to what is folded, but not beyond a dead letter that isn't stored, nor beyond
// an event whose view isn't committed.
func (p *partition) cursor() (seq uint64, stored int64) {
	if len(p.deferred) > 0 {
		return p.fence.Cursor, p.fence.CursorTime
	}
	return p.foldedUpTo()
}

// foldedUpTo is where the cursor is once nothing is deferred.
func (p *partition) foldedUpTo() (seq uint64, stored int64) {
	at := p.folded
	if before, held := p.letters.before(); held && before.seq < at.seq {
		at = before
	}
	for e := range p.held {
		if e.since.seq < at.seq {
			at = e.since
		}
	}
	if at.seq <= p.fence.Cursor {
		return p.fence.Cursor, p.fence.CursorTime
	}
	return at.seq, at.stored
}

// progress is what the fence may say about what is folded.
func (p *partition) progress() viewstore.Progress {
	to := p.reached()
	to.Cursor, to.CursorTime = p.cursor()
	if len(p.deferred) > 0 {
		to.Watermark = p.fence.Watermark
	}
	return to
}

// reached is what the fence may say once nothing is deferred. Its moment is the one at which changed views are judged.
func (p *partition) reached() viewstore.Progress {
	to := viewstore.Progress{
		Watermark: max(p.fence.Watermark, p.folded.stored), Complete: p.fence.Complete && p.mending == nil, EndSeen: p.fence.EndSeen,
		Judged: p.judged, Restored: p.whole(), Looked: p.past.looked,
	}
	to.Cursor, to.CursorTime = p.foldedUpTo()
	for e := range p.held {
		to.Watermark = min(to.Watermark, max(p.fence.Watermark, e.since.stored))
	}
	return to
}

// commitLimit limits one attempt of a commit, depending on its size. A lost commit is repeated.
func commitLimit(writes []viewstore.Write) time.Duration {
	size := 0
	for _, w := range writes {
		size += w.Bytes()
	}
	return 2*time.Second + time.Duration(size)*time.Second/largeRate
}

// maxMends limits how often one commit may find damage and repair it.
const maxMends = 4

func (p *partition) commit(ctx context.Context, writes []viewstore.Write) error {
	defer p.giveBack()
	return p.commitTo(ctx, p.progress(), writes)
}

// giveBack gives the memory of a commit's values to the next one of any partition.
func (p *partition) giveBack() {
	if p.buffer != nil {
		buffer := p.buffer[:0]
		p.buffers.Put(&buffer)
		p.buffer = nil
	}
}

// commitTo advances the fence by a progress and writes views. A commit whose outcome is unknown is repeated unchanged,
// until its lease expires. One that found damage wrote nothing, and is repeated after the repair.
func (p *partition) commitTo(ctx context.Context, to viewstore.Progress, writes []viewstore.Write) error {
	began, mends, marks := time.Now(), 0, p.past.marks
	p.past.marks = nil
	next := p.fence.Advance(to, p.policies.Hold())
	for {
		write := p.store.Commit
		if p.mending != nil {
			write = p.store.Refill
		}
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit(writes))
		f, err := write(try, p.number, p.fence, next, p.lease, writes, marks...)
		cancel()
		if err == nil {
			p.fence = f
			p.state.Store(&state{complete: f.Complete, watermark: time.Unix(0, f.Watermark), asOf: f.AsOf(), cursor: f.Cursor})
			p.metrics.commit(len(writes), time.Since(began))
			return nil
		}
		failed := *p.state.Load()
		failed.failure = err
		p.state.Store(&failed)
		var damaged viewstore.DamagedError
		if errors.As(err, &damaged) && mends < maxMends {
			mends++
			if member, parts := strings.CutPrefix(damaged.Key, "p:"); parts {
				p.writeAllParts(member, writes)
				continue
			}
			if err := p.inspect(ctx, namespaces(writes)); err != nil {
				return err
			}
			to.Complete = to.Complete && p.mending == nil
			next = p.fence.Advance(to, p.policies.Hold())
			continue
		}
		if errors.Is(err, viewstore.ErrFenced) || ctx.Err() != nil || time.Since(began) > p.lease {
			return fmt.Errorf("ingest: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.stopped:
			return p.why
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func namespaces(writes []viewstore.Write) (out []string) {
	for _, w := range writes {
		if !slices.Contains(out, w.Namespace) {
			out = append(out, w.Namespace)
		}
	}
	return out
}
