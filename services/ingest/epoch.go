package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// owner is what an epoch needs of the view store to own partitions.
type owner interface {
	Join(ctx context.Context, member string, ttl time.Duration) ([]string, error)
	Records(ctx context.Context) ([]viewstore.Record, error)
	Claim(ctx context.Context, p int, seen viewstore.Record, next viewstore.Fence, lease time.Duration) (viewstore.Fence, error)
}

// server says whether Redis can keep views at all.
type server interface {
	Server(ctx context.Context) (viewstore.Server, error)
}

// epoch is the life of one stream identity in this process.
type epoch struct {
	*needs
	s          *Service
	owner      owner
	server     server
	upgrade    upgrade
	identity   string
	history    string        // generation of the history
	window     time.Duration // how long events stay after a checkpoint covers them; 0: forever
	born       uint64        // the log's first sequence ever
	begins     atomic.Uint64 // the log's first sequence at the last look that all partitions claimed since took into account
	version    int           // of the fold
	partitions int

	mu    sync.Mutex
	owned map[int]*partition
	wg    sync.WaitGroup
	fail  context.CancelCauseFunc

	dropped chan struct{} // signals that a partition was dropped

	// Used by the loop only.
	ticked  time.Time              // when tick last began
	fenced  []bool                 // which partitions had a fence at the last tick
	members []string               // at the last tick before fences vanished
	wiped   time.Time              // when fences vanished
	looks   map[int]viewstore.Look // where the next check of each partition continues
	looked  time.Time              // when Redis was last checked
	floor   eventlog.Floor         // as last read
	first   uint64                 // the log's first sequence then
	evicted int64                  // keys that Redis had evicted at the last check; −1 before the first
}

func (s *Service) newEpoch(identity, history string, fail context.CancelCauseFunc) *epoch {
	views := s.o.Store.WithIdentity(identity)
	e := &epoch{
		s: s, owner: views, server: views, upgrade: upgrade{store: views}, identity: identity, history: history, version: views.Fold(), partitions: s.o.Log.Partitions(),
		owned: map[int]*partition{}, fail: fail, dropped: make(chan struct{}, 1), fenced: make([]bool, s.o.Log.Partitions()), looks: map[int]viewstore.Look{}, evicted: -1,
	}
	e.needs = &needs{
		log: s.o.Log, archive: s.o.Log, cutter: s.o.Log, store: views,
		checkpointEvery: s.o.CheckpointEvery, historyAge: s.o.HistoryAge, redisKeep: s.o.RedisKeep, archives: &atomic.Bool{}, policies: s.o.Policies, router: newRouter(e.partitions, s.o.MaxQueue),
		slots: make(chan struct{}, runtime.GOMAXPROCS(0)), restores: make(chan struct{}, 4), readers: make(chan struct{}, maxReaders), counting: make(chan struct{}, 2),
		lease: s.o.Lease, maxBatch: s.o.MaxBatch, budget: newBudget(s.o.Memory), buffers: newBuffers(), metrics: s.metrics, logger: s.log, wg: &e.wg,
		apartFrom: s.apartFrom, fold: s.fold, catchUp: e.catchUp,
	}
	if s.o.Rows != nil {
		e.rows = s.o.Rows(history)
	}
	e.router.bytes = e.budget.queues
	return e
}

func (s *Service) epoch(ctx context.Context) error {
	if err := s.o.Log.EnsureStreams(ctx); err != nil {
		return err
	}
	info, err := s.o.Log.Info(ctx)
	if err != nil {
		return err
	}
	history, err := s.o.Log.HistoryInfo(ctx)
	if err == nil {
		err = history.CheckGeneration()
	}
	if err != nil {
		return err
	}
	process := ctx
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	e := s.newEpoch(info.Identity, history.Generation, fail)
	e.born, e.window = info.Born, window(s.o.LogWindow, info.Born)
	e.base = basesFor(e.window)
	e.upgrade.log.Store(&info)
	defer e.leave(process)
	defer e.wg.Wait()
	defer fail(nil)

	if err := e.tick(ctx); err != nil {
		return err
	}
	e.wg.Go(func() { e.read(ctx) })
	e.wg.Go(func() { e.removeOutdated(ctx) })
	e.wg.Go(func() { e.truncate(ctx) })
	ticks := time.NewTimer(s.o.Heartbeat / 2)
	defer ticks.Stop()
	beat := time.NewTimer(0)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.dropped:
			ticks.Reset(time.Until(e.ticked.Add(soon)))
		case <-ticks.C:
			ticks.Reset(s.o.Heartbeat / 2)
			if err := e.tick(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("renewing membership failed", "error", err)
			}
		case <-beat.C:
			err := e.heartbeat(ctx)
			if err != nil && ctx.Err() == nil {
				// Without its stream the epoch has nothing to read. It ends, and the next one waits for a stream.
				if errors.Is(err, eventlog.ErrIdentityChanged) || errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, errHistoryChanged) {
					return err
				}
				s.log.Warn("heartbeat failed", "error", err)
			}
			next := s.o.Heartbeat
			if err == nil && s.Ready() != nil {
				next = min(next, hurry) // clients wait for the end of a rebuild
			}
			beat.Reset(next)
		}
	}
}

// soon is the least time between two ticks.
const soon = 100 * time.Millisecond

// hurry is the heartbeat of a process that hasn't caught up.
const hurry = 50 * time.Millisecond

// askLimit limits how long a heartbeat waits for one answer.
const askLimit = 3 * time.Second

// tick renews the membership, claims the partitions of this member's share, and releases those that no longer belong to it.
func (e *epoch) tick(ctx context.Context) (err error) {
	defer func() { e.s.health.tried(&e.s.health.store, err) }()
	e.ticked = time.Now()
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	members, err := e.owner.Join(ask, e.s.o.Member, e.lease)
	if err != nil {
		return err
	}
	records, err := e.owner.Records(ask)
	if err != nil {
		return err
	}
	mine := share(e.s.o.Member, e.present(members, records), e.partitions)
	lost := e.stopLost(records)
	var errs []error
	var passed []*queue
	var unrestored []*partition
	for p, r := range records {
		owned := e.get(p)
		switch {
		case lost: // they are claimed in the next tick, all together, so that one group reads for them
		case mine[p] && owned == nil && ask.Err() != nil: // each would wait for a server that doesn't answer: in the next tick
			errs = append(errs, ask.Err())
		case mine[p] && owned == nil:
			claimed, q, err := e.claim(ctx, p, r)
			if q != nil {
				passed = append(passed, q)
			}
			if claimed != nil && !claimed.whole() {
				unrestored = append(unrestored, claimed)
			}
			if err != nil && !errors.Is(err, viewstore.ErrFenced) {
				errs = append(errs, err) // the other partitions are claimed nevertheless
			}
		case !mine[p] && owned != nil:
			owned.stop(errReleased)
		}
	}
	for _, group := range e.groups(passed) {
		e.wg.Go(func() { e.catchUp(ctx, group) })
	}
	switch {
	case len(unrestored) > e.partitions/2:
		e.wg.Go(func() { e.scan(ctx, unrestored) })
	default:
		for _, p := range unrestored {
			e.wg.Go(func() { e.scan(ctx, []*partition{p}) })
		}
	}
	e.s.metrics.owned.Set(float64(e.count()))
	e.s.health.saw(records, mine, e.states())
	errs = append(errs, e.lookAtVersions(ask, members, records))
	return errors.Join(errs...)
}

// groups divides partitions that the main reader has passed into those that one reader serves. One that reads the whole log is
// cheaper for the server than one for each partition, unless most of what it reads is of partitions that others own.
func (e *epoch) groups(passed []*queue) (all [][]*queue) {
	if len(passed) > e.partitions/2 {
		return append(all, passed)
	}
	for _, q := range passed {
		all = append(all, []*queue{q})
	}
	return all
}

// stopLost stops the workers whose fence is gone or another one's, and reports whether any was still at work. An idle worker notices a
// wipe here.
func (e *epoch) stopLost(records []viewstore.Record) (worked bool) {
	for p, r := range records {
		owned := e.get(p)
		if owned == nil || r.Fence != nil && r.Fence.Token == owned.token {
			continue
		}
		worked = owned.stop(viewstore.ErrFenced) || worked
	}
	return worked
}

// present are the members among whom the partitions are shared. When fences have vanished, so have the members: those known
// before count for as long as they need to join again. Otherwise the first one to notice would take, and begin to rebuild, the
// partitions of all.
func (e *epoch) present(joined []string, records []viewstore.Record) []string {
	for p, r := range records {
		if e.fenced[p] && r.Fence == nil && r.Err == nil {
			e.wiped = time.Now()
		}
		e.fenced[p] = r.Fence != nil || r.Err != nil
	}
	if time.Since(e.wiped) > e.s.o.Heartbeat {
		e.members = joined
		return joined
	}
	all := slices.Concat(joined, e.members)
	slices.Sort(all)
	return slices.Compact(all)
}

var errReleased = errors.New("released")

func (e *epoch) get(p int) *partition {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.owned[p]
}

func (e *epoch) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.owned)
}

func (e *epoch) all() []*partition {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*partition, 0, len(e.owned))
	for _, p := range e.owned {
		out = append(out, p)
	}
	return out
}

// states of the partitions that this process owns.
func (e *epoch) states() map[int]*atomic.Pointer[state] {
	out := map[int]*atomic.Pointer[state]{}
	for _, p := range e.all() {
		out[p.number] = &p.state
	}
	return out
}

// claim takes a partition, checks that its position is valid on this stream, and starts its worker. passed is its queue if the
// main reader has passed that position.
func (e *epoch) claim(ctx context.Context, p int, seen viewstore.Record) (part *partition, passed *queue, err error) {
	if seen.Err != nil {
		e.logger.Error("parsing fence failed, claiming its partition again", "partition", p, "error", seen.Err)
		e.metrics.damage.WithLabelValues(reasonFence).Inc()
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	// The log's beginning first, then the floor (rule 23).
	info, err := e.log.Info(ask)
	if err != nil {
		return nil, nil, err
	}
	floor, err := e.look(ask, info)
	if err != nil {
		return nil, nil, err
	}
	e.begins.Store(max(e.begins.Load(), info.First))
	if seen.Fence == nil && seen.Err == nil && info.First > info.Born {
		// What Redis still has of it may have been erased or retired since (rule 24).
		if err := e.upgrade.store.Clear(ask, p); err != nil {
			return nil, nil, err
		}
	}
	next, err := e.claimable(ask, seen.Fence, info, floor)
	if err != nil {
		return nil, nil, err
	}
	fence, err := e.owner.Claim(ask, p, seen, next, e.lease)
	if err != nil {
		return nil, nil, err
	}
	if err := e.verify(ask, fence, info); err != nil {
		return nil, nil, fmt.Errorf("ingest: claim p%02d: %w", p, err)
	}
	part, err = e.remember(ask, p, fence, info, floor)
	if err != nil {
		return nil, nil, fmt.Errorf("ingest: claim p%02d: %w", p, err)
	}
	part.rescore = seen.Fence != nil && seen.Fence.PolicyHash != fence.PolicyHash
	e.mu.Lock()
	e.owned[p] = part
	e.mu.Unlock()
	if !e.router.add(part.queue) {
		passed = part.queue
	}
	e.wg.Go(func() {
		err := part.run(ctx)
		e.mu.Lock()
		delete(e.owned, p)
		e.mu.Unlock()
		if ctx.Err() == nil && !errors.Is(err, errReleased) {
			e.s.metrics.dropped.Inc()
			e.logger.Warn("partition dropped", "partition", p, "error", err)
			select {
			case e.dropped <- struct{}{}:
			default:
			}
		}
		if errors.Is(err, eventlog.ErrIdentityChanged) {
			e.fail(err)
		}
	})
	return part, passed, nil
}

// remember makes the worker of a claimed partition, with what it must know of history and log.
func (e *epoch) remember(ctx context.Context, number int, fence viewstore.Fence, info eventlog.Info, floor eventlog.Floor) (*partition, error) {
	incomplete := false
	if fence.History != e.history {
		// The history was made again: what Redis has is uncovered, and the log is read again from its beginning (rule 30).
		next := fence
		next.History, next.Restored, next.Commits = e.history, true, fence.Commits+1
		next.Cursor, next.CursorTime, next.Looked = min(next.Cursor, info.First-1), 0, info.First-1
		incomplete = info.First > fence.Looked+1
		f, err := e.store.UncoverAll(ctx, number, fence, next, e.lease, neverCovered)
		if err != nil {
			return nil, err
		}
		fence = f
	}
	marks, err := e.store.Uncovered(ctx, number, fence)
	if err != nil {
		var damaged viewstore.DamagedError
		if errors.As(err, &damaged) {
			e.metrics.damage.WithLabelValues(reasonPartition).Inc()
			err = errors.Join(err, e.store.Void(ctx, number, fence))
		}
		return nil, err
	}
	part := newPartition(e.needs, number, fence, incomplete)
	past := &part.past
	past.generation, past.born = e.history, info.Born
	if floor.Hole != nil {
		past.holeEnd, past.holeNoted = floor.Hole.End, floor.Hole.Noted
	}
	for _, m := range marks {
		// When these were folded isn't known, so that they are due, but not all at once.
		due := time.Now().Add(rand.N(max(e.checkpointEvery/4, time.Millisecond)))
		past.open[m.Namespace+"."+m.Batch] = &mark{from: m.From, last: fence.Cursor, retry: due}
	}
	if gap := info.First > fence.Looked+1; gap && (part.onlyCopy() || info.First-1 > floor.Covered) {
		part.incomplete, past.gap = true, info.First-1
	} else if gap {
		e.logger.Error("events were removed before they were folded, rebuilding the partition from history and log", "partition", number, "looked", fence.Looked, "first", info.First)
		e.metrics.damage.WithLabelValues(reasonPartition).Inc()
		return nil, errors.Join(errGap, e.store.Wipe(ctx, number, fence))
	}
	return part, nil
}

// neverCovered is the mark of views that may be nowhere but in Redis.
const neverCovered = 1

// claimable is the fence of the claim: the one seen, with a new token, and no longer complete; without one, a fence that begins where
// checkpoints don't cover the log any more. All before that is in the history, so the views are as of that moment.
func (e *epoch) claimable(ctx context.Context, seen *viewstore.Fence, info eventlog.Info, floor eventlog.Floor) (viewstore.Fence, error) {
	var next viewstore.Fence
	if seen != nil {
		next = *seen
	} else {
		start := max(info.First-1, floor.Covered)
		next = viewstore.Fence{Identity: e.identity, Fold: e.version, Cursor: start, Looked: start, History: e.history}
		at := info.GoneBefore
		if start >= info.First {
			stored, found, err := e.log.StoredAt(ctx, start)
			if err != nil {
				return next, err
			}
			if found {
				at = stored
			}
		}
		if !at.IsZero() {
			next.Watermark = at.UnixNano()
		}
	}
	next.Token, next.Complete = newToken(), false
	next.PolicyHash = e.policies.Hash()
	return next, nil
}

// verify checks that a claimed position is valid on this stream (rule 5).
func (e *epoch) verify(ctx context.Context, f viewstore.Fence, info eventlog.Info) error {
	changed := func(why string) error {
		if _, err := e.log.BumpIncarnation(ctx, e.identity); err != nil {
			return err
		}
		err := fmt.Errorf("%w: %s", eventlog.ErrIdentityChanged, why)
		e.fail(err)
		return err
	}
	if info.Identity != e.identity {
		err := fmt.Errorf("%w: was %s, is %s", eventlog.ErrIdentityChanged, e.identity, info.Identity)
		e.fail(err)
		return err
	}
	if f.Cursor > info.Last && f.Cursor >= info.Born {
		return changed(fmt.Sprintf("cursor %d is beyond the end %d", f.Cursor, info.Last))
	}
	if f.Cursor > 0 && f.CursorTime != 0 {
		at, found, err := e.log.StoredAt(ctx, f.Cursor)
		if err != nil {
			return err
		}
		if found && at.UnixNano() != f.CursorTime {
			return changed(fmt.Sprintf("message %d is another one", f.Cursor))
		}
	}
	return nil
}

// heartbeat moves quiet partitions to the log's end and renews all leases. It also checks the servers; a problem of one of
// them doesn't keep the rest from being done.
func (e *epoch) heartbeat(ctx context.Context) error {
	return errors.Join(e.lookAfter(ctx), e.move(ctx))
}

func (e *epoch) move(ctx context.Context) (err error) {
	defer func() { e.s.health.tried(&e.s.health.log, err) }()
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	owned, asked := e.all(), time.Now()
	cursors := make([]uint64, len(owned))
	for i, p := range owned {
		cursors[i] = p.state.Load().cursor // before the log is asked
	}
	info, err := e.log.Info(ask)
	if err != nil {
		return err
	}
	if info.Identity != e.identity {
		err := fmt.Errorf("%w: was %s, is %s", eventlog.ErrIdentityChanged, e.identity, info.Identity)
		e.fail(err)
		return err
	}
	e.upgrade.log.Store(&info)
	if info.First != e.first {
		if e.floor, err = e.look(ask, info); err != nil {
			return err
		}
		e.first = info.First
		e.begins.Store(max(e.begins.Load(), info.First))
	}
	b, err := e.beat(ask, info)
	if err != nil {
		return err
	}
	b.asked = asked
	for i, p := range owned {
		b.looked, b.covered = cursors[i], e.floor.Covered
		p.poke(b)
	}
	e.s.health.at(info.Now)
	e.s.health.states(e.states())
	return nil
}

// lookAfter makes streams again that are gone, and asks whether Redis can keep views, and whether the owned partitions have what they
// count.
func (e *epoch) lookAfter(ctx context.Context) error {
	if time.Since(e.looked) < e.s.o.Heartbeat/2 {
		return nil // it hurries
	}
	e.looked = time.Now()
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	streams := e.log.EnsureStreams(ask)
	history, err := e.archive.HistoryInfo(ask)
	if err == nil && history.Generation != e.history {
		return errHistoryChanged
	}
	return errors.Join(streams, err, e.lookAtRedis(ctx))
}

func (e *epoch) lookAtRedis(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	now, err := e.server.Server(ask)
	if err != nil {
		return err
	}
	if e.s.health.trouble(now.Trouble()) {
		if err := now.Trouble(); err != nil {
			e.logger.Error("Redis can't keep views", "error", err)
		} else {
			e.logger.Info("Redis can keep views again")
		}
	}
	whole := e.evicted >= 0 && now.Evicted > e.evicted
	if whole {
		e.logger.Error("Redis evicted keys, checking all views", "keys", now.Evicted-e.evicted)
	}
	e.evicted = now.Evicted
	return e.check(ctx, whole)
}

// check verifies one page of each owned partition, or all of them.
func (e *epoch) check(ctx context.Context, whole bool) error {
	left := e.all()
	for len(left) > 0 && ctx.Err() == nil {
		looks := make([]viewstore.Look, len(left))
		for i, p := range left {
			looks[i] = e.looks[p.number]
			looks[i].Partition = p.number
		}
		ask, cancel := context.WithTimeout(ctx, askLimit)
		found, err := e.store.Verify(ask, looks)
		cancel()
		if err != nil {
			return err
		}
		var more []*partition
		for i, d := range found {
			p := left[i]
			e.looks[p.number] = d.Next
			if d.Indexes() || len(d.Views) > 0 {
				p.found(ctx, d, whole)
			}
			if whole && !d.Catalogue && d.Next.Views != "0" {
				more = append(more, p)
			}
		}
		left = more
	}
	return nil
}
