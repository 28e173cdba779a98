package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/internal/folding"
)

// foldBatch folds a batch of messages and commits what changed, in several commits if there is more than fits into
// one. While the partition isn't complete nobody waits for single changes, so they are committed together later.
func (p *partition) foldBatch(ctx context.Context, batch []eventlog.Message) error {
	if len(p.deferred) > 0 && !p.defers() {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	entries, err := p.entriesOf(ctx, batch)
	if err != nil {
		return err
	}
	for len(batch) > 0 {
		dirty, dead, rest := p.apply(ctx, batch, entries)
		p.letters.bury(ctx, dead)
		if !p.defers() {
			if err := p.commit(ctx, p.writes(dirty)); err != nil {
				return err
			}
		}
		entries, batch = entries[len(batch)-len(rest):], rest
	}
	p.reading.Store(p.folded.seq)
	return p.relieve(ctx)
}

// loadPage is the maximum number of views in one load.
const loadPage = 256

// entriesOf returns the entry of each message, nil where the subject names no batch. Views that aren't in memory are loaded.
func (p *partition) entriesOf(ctx context.Context, batch []eventlog.Message) ([]*entry, error) {
	entries := p.entries[:0]
	var missing []*entry
	for i := range batch {
		var e *entry
		if name := batchName(batch[i].Subject); name != "" {
			if e = p.cache.get(name); e == nil {
				e = p.cache.add(name)
				missing = append(missing, e)
			} else if e.packed != nil {
				p.unpack(ctx, e)
			}
		}
		entries = append(entries, e)
	}
	p.entries = entries
	for _, e := range missing {
		p.knowMark(e)
	}
	if p.fence.Views > 0 { // otherwise nothing is stored yet
		if err := p.load(ctx, missing); err != nil {
			return entries, err
		}
	}
	return entries, p.recall(ctx, missing)
}

// load fills entries, in reads that are atomic with the fence (rule 3).
func (p *partition) load(ctx context.Context, missing []*entry) error {
	for len(missing) > 0 {
		page := missing[:min(loadPage, len(missing))]
		keys := make([]viewstore.Key, len(page))
		for i, e := range page {
			keys[i] = e.key
		}
		values, err := p.read(ctx, keys)
		if err != nil {
			return err
		}
		for i, v := range values {
			p.place(ctx, page[i], v)
		}
		missing = missing[len(page):]
	}
	return nil
}

// read reads views. Damage that prevents it is repaired first.
func (p *partition) read(ctx context.Context, keys []viewstore.Key) ([]viewstore.Value, error) {
	for mends := 0; ; mends++ {
		_, values, err := p.store.Load(ctx, p.number, &p.fence, keys)
		if err == nil {
			return values, nil
		}
		var damaged viewstore.DamagedError
		if !errors.As(err, &damaged) || mends >= maxMends {
			return nil, fmt.Errorf("ingest: %w", err)
		}
		if err := p.inspect(ctx, nil); err != nil {
			return nil, err
		}
	}
}

// place puts a view that was read into its entry. If the view is missing although it is counted, or differs from what
// was committed, it is rebuilt from the log.
func (p *partition) place(ctx context.Context, e *entry, v viewstore.Value) {
	if e.rebuild != nil || e.there() {
		return
	}
	e.counted = v.Header
	if v.Missing {
		p.rebuildView(ctx, e, reasonMissing)
		return
	}
	if v.Bytes == nil || v.Header == nil {
		return // what isn't counted is left of an earlier life of the partition, and may have been erased since (rule 24)
	}
	view, err := diagnostics.Parse(v.Bytes)
	e.apart = v.Apart
	switch {
	case err != nil:
		p.rebuildView(ctx, e, reasonCorrupt)
	case v.Header != nil && !bytes.HasPrefix(v.Bytes, v.Header):
		p.rebuildView(ctx, e, reasonDiffers)
	default:
		e.view = view
		p.cache.resize(e, len(v.Bytes))
	}
}

// batchName is "<namespace>.<batch>" of a log subject headway.log.<p>.<namespace>.<batch>.<kind…>.
func batchName(subject string) string {
	rest := subject
	for range 3 {
		_, after, ok := strings.Cut(rest, ".")
		if !ok {
			return ""
		}
		rest = after
	}
	first := strings.IndexByte(rest, '.')
	if first < 0 {
		return ""
	}
	second := strings.IndexByte(rest[first+1:], '.')
	if second < 0 {
		return ""
	}
	return rest[:first+1+second]
}

// Commits of a view of at least largeView bytes are limited to largeRate bytes per second, of which those that aren't written, because only
// parts of the view changed, count an eighth. Otherwise a view whose parts all change with each event would be written as a whole for each
// of them, with quadratic cost. Until its next commit the cursor is held before its events, so nothing is lost, and the other views continue.
const (
	largeView = 256 << 10
	largeRate = 16 << 20
)

// apply folds messages in order until all are, or until one commit is full. What is deferred isn't in that commit.
func (p *partition) apply(ctx context.Context, batch []eventlog.Message, entries []*entry) (dirty []*entry, dead []letter, rest []eventlog.Message) {
	size, now, defers := 0, time.Now(), p.defers()
	for i := range batch {
		m, e := &batch[i], entries[i]
		before := p.folded
		changed, rejection := p.applyOne(ctx, m, e)
		if e != nil {
			p.touch(e, m.Seq)
		}
		p.folded = position{m.Seq, m.Stored.UnixNano()}
		if rejection != nil {
			dead = append(dead, letter{before: before, DeadLetter: eventlog.DeadLetter{
				Identity: p.fence.Identity, Seq: m.Seq, Subject: m.Subject, Field: rejection.Field, Reason: rejection.Reason,
				Stored: m.Stored, Data: m.Data, Header: m.Header,
			}})
		}
		if !changed {
			continue
		}
		p.cache.resize(e, e.grow(len(m.Data)))
		switch {
		case e.dirty:
			continue
		case defers:
			p.deferCommit(e, now)
			continue
		}
		e.dirty = true
		if e.size >= largeView && now.Before(e.later) {
			p.hold(e, before)
			continue
		}
		dirty = append(dirty, e)
		size += e.size
		if len(dirty) >= viewstore.MaxCommitViews || size >= viewstore.MaxCommitBytes/2 {
			return dirty, dead, batch[i+1:]
		}
	}
	return dirty, dead, nil
}

// hold holds the cursor before the events of a view that isn't committed with it.
func (p *partition) hold(e *entry, since position) {
	e.dirty, e.since = true, since
	p.held[e] = true
}

// applyOne folds one message. An event that can't be understood, or on which our own code fails, is rejected.
func (p *partition) applyOne(ctx context.Context, m *eventlog.Message, e *entry) (changed bool, rejection *diagnostics.Rejection) {
	event, rejection := folding.Decode(&p.decoder, m)
	var refusal diagnostics.Refusal
	if rejection != nil {
		var whose bool
		if refusal, whose = folding.Refused(m, rejection); !whose {
			return false, rejection
		}
	}
	if e == nil {
		return false, folding.Internal(fmt.Sprintf("subject %q names no batch", m.Subject))
	}
	if e.rebuild != nil {
		e.rebuild.keep(*m)
		return false, rejection
	}
	if e.view == nil {
		e.view = diagnostics.NewView(e.key.Namespace, e.key.Batch)
		e.view.Incomplete = e.sealed || m.Seq <= p.past.holeNoted
	}
	if rejection != nil {
		changed = folding.Refusal(e.view, refusal, m.Seq)
		if p.incomplete && changed {
			e.view.Incomplete = true
		}
		return changed || e.counted == nil, rejection
	}
	outcome, changed, err := folding.Into(p.fold, e.view, event, m.Seq)
	if err != nil {
		// The state of the view is unknown now. The stored one is older, so the cursor waits for the rebuilt one.
		p.hold(e, position{p.fence.Cursor, p.fence.CursorTime})
		p.rebuildView(ctx, e, reasonPanic)
		return false, folding.Internal(err.Error())
	}
	p.metrics.outcomes[outcome].Inc()
	if event.Type == diagnostics.TypeHealth {
		p.judged = max(p.judged, event.HealthFacts.AsOf)
	}
	if p.incomplete && changed {
		e.view.Incomplete = true
	}
	return changed || e.counted == nil, nil // a view that isn't counted yet is written, whatever the event says
}

// writes encodes the changed views, each once.
func (p *partition) writes(dirty []*entry) []viewstore.Write {
	if len(dirty) == 0 {
		return nil
	}
	asOf, now := p.fence.Advance(p.reached(), p.policies.Hold()).AsOf(), time.Now()
	out := make([]viewstore.Write, 0, len(dirty))
	written := make([]*entry, 0, len(dirty))
	ends := make([]int, 0, len(dirty))
	sizes := make([]int, 0, len(dirty)) // of values whose parts are stored apart; 0 for others
	if p.buffer == nil {
		p.buffer = *p.buffers.Get().(*[]byte)
	}
	p.buffer = p.buffer[:0]
	for _, e := range dirty {
		if e.rebuild != nil || !e.there() {
			continue // it is written after its rebuild
		}
		e.dirty = false
		delete(p.held, e)
		w, size, err := p.encode(e, asOf)
		if err != nil {
			p.logger.Error("encoding view failed", "partition", p.number, "namespace", e.key.Namespace, "batch", e.key.Batch, "error", err)
			p.metrics.damage.WithLabelValues(reasonEncode).Inc()
			if w, err = p.unreadable(e); err != nil {
				continue
			}
		}
		out, written, ends, sizes = append(out, w), append(written, e), append(ends, len(p.buffer)), append(sizes, size)
	}
	begin := 0
	for i, e := range written {
		size := sizes[i]
		if size == 0 {
			size = ends[i] - begin
			out[i].Value = p.buffer[begin:ends[i]:ends[i]]
		}
		p.cache.resize(e, size)
		e.counted = append(e.counted[:0], out[i].Value[:diagnostics.HeaderSize]...)
		if size >= largeView {
			e.later = now.Add(time.Duration(max(out[i].Bytes(), size/8)) * time.Second / largeRate)
		}
		begin = ends[i]
	}
	return out
}

// apartFrom is the size of a view in bytes from which on its parts are stored apart from it.
const apartFrom = 32 << 10

// encode appends an entry's stored value to the buffer, unless its parts are stored apart: then size is the size of the whole.
func (p *partition) encode(e *entry, asOf time.Time) (w viewstore.Write, size int, err error) {
	begin := len(p.buffer)
	defer func() {
		if r := recover(); r != nil {
			p.encoder, p.buffer = diagnostics.Encoder{}, p.buffer[:begin]
			w, size, err = viewstore.Write{}, 0, fmt.Errorf("encoding panicked: %v", r)
		}
	}()
	view := e.view
	if view == nil {
		if view, err = diagnostics.Parse(e.packed); err != nil {
			return w, 0, err
		}
	}
	w = viewstore.Write{Key: e.key, Revision: view.Revision}
	switch {
	case e.apart || max(e.size, len(e.packed)) >= p.apartFrom:
		if e.apart = true; !view.Tracked() {
			view.Track()
		}
		size = p.encodeParts(view, &w)
	case e.view == nil:
		p.buffer = append(p.buffer, e.packed...)
	default:
		p.buffer = p.encoder.Append(p.buffer, view)
	}
	summary := diagnostics.Summarize(view, asOf, p.policies.For(e.key.Namespace))
	w.Due = dueScore(summary.Check, asOf)
	row := summary.Row.AppendJSON(make([]byte, 0, 1024))
	if hash := maphash.Bytes(rowSeed, row) | 1; hash != e.row {
		e.row, w.Row = hash, row
		s, over := standingOf(e.key.Namespace, &summary.Row)
		p.census.enter(e.name, s, over)
		p.ends.enter(e.name, heldFrom(&summary.Row))
	}
	return w, size, nil
}

// encodeParts encodes what changed of a view whose parts are stored apart, and returns the size of the whole.
func (p *partition) encodeParts(view *diagnostics.View, w *viewstore.Write) (size int) {
	c := p.encoder.Changes(view)
	w.Value, w.Parts, w.Apart = c.Core, c.Parts, viewstore.Apart{Is: true, All: c.All, Before: c.Before}
	return c.Size
}

// writeAllParts makes a commit write all parts of a view, of which some aren't stored any more.
func (p *partition) writeAllParts(member string, writes []viewstore.Write) {
	for i := range writes {
		w := &writes[i]
		e := p.cache.get(w.Namespace + "." + w.Batch)
		if w.Namespace+":"+w.Batch != member || e == nil || e.view == nil || !w.Apart.Is {
			continue // of a packed view all parts are written anyway
		}
		p.metrics.damage.WithLabelValues(reasonMissing).Inc()
		p.logger.Warn("writing all parts of a view again, some were missing", "partition", p.number, "namespace", w.Namespace, "batch", w.Batch)
		e.view.Track()
		p.encodeParts(e.view, w)
	}
}

// rowSeed is that of the hashes by which an unchanged row is recognized.
var rowSeed = maphash.MakeSeed()

var errNotCounted = errors.New("the view was never stored")

// unreadable is written in place of a view that can't be encoded: readers get an error instead of an older
// state that would look current.
func (p *partition) unreadable(e *entry) (viewstore.Write, error) {
	revision := uint64(0)
	if e.view != nil {
		revision = e.view.Revision
	} else if h, err := diagnostics.ParseHeader(e.packed); err == nil {
		revision = h.Revision
	}
	p.discard(e)
	if e.counted == nil {
		return viewstore.Write{}, errNotCounted
	}
	p.buffer = append(p.buffer, bytes.Repeat([]byte{0xff}, diagnostics.HeaderSize)...)
	return viewstore.Write{Key: e.key, Revision: revision}, nil
}

// dueScore is a moment in ms. A future moment is rounded up: rounded down, the detector would check too early, and
// spin. A past moment is rounded down, like the moment of the fence with which it is compared: rounded up,
// it would be in the future until the partition advances, and each further event of a busy batch would postpone it again.
func dueScore(at, asOf time.Time) int64 {
	switch {
	case at.IsZero():
		return 0
	case !at.After(asOf):
		return at.UnixMilli()
	}
	return at.Add(time.Millisecond - 1).UnixMilli()
}

// nextHeld is the time until the next commit of a large view that is held back.
func (p *partition) nextHeld() (wait time.Duration, ok bool) {
	var first time.Time
	for e := range p.held {
		if e.rebuild == nil && (!ok || e.later.Before(first)) {
			first, ok = e.later, true
		}
	}
	return max(0, time.Until(first)), ok
}

// commitHeld commits the views whose delay is over.
func (p *partition) commitHeld(ctx context.Context, now time.Time) error {
	var dirty []*entry
	for e := range p.held {
		if e.rebuild == nil && !e.later.After(now) {
			dirty = append(dirty, e)
		}
	}
	if len(dirty) == 0 {
		return nil
	}
	return p.commit(ctx, p.writes(dirty))
}
