package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// fold folds a batch of messages and commits what changed: one commit, or several where it touches more
// than one may carry.
func (p *partition) fold(ctx context.Context, batch []eventlog.Message) error {
	if len(batch) == 0 {
		return nil
	}
	if err := p.loadMissing(ctx, batch); err != nil {
		return err
	}
	var dead []eventlog.DeadLetter
	for len(batch) > 0 {
		dirty, dead2, rest, err := p.apply(batch, dead[:0])
		dead = dead2
		if err != nil {
			return err
		}
		if err := p.bury(ctx, dead); err != nil {
			return err
		}
		last := batch[len(batch)-len(rest)-1]
		to := viewstore.Progress{
			Cursor: last.Seq, CursorTime: last.Stored.UnixNano(), Watermark: last.Stored.UnixNano(),
			Complete: p.fence.Complete, EndSeen: p.fence.EndSeen,
		}
		if err := p.commit(ctx, to, p.writes(to, dirty)); err != nil {
			return err
		}
		batch = rest
	}
	p.cache.shrink()
	return nil
}

// loadPage bounds one load.
const loadPage = 256

// loadMissing brings the views that a batch needs into the cache, in reads that are atomic with the
// record (rule 3).
func (p *partition) loadMissing(ctx context.Context, batch []eventlog.Message) error {
	var missing []*entry
	for i := range batch {
		name := batchName(batch[i].Subject)
		if name == "" || p.cache.get(name) != nil {
			continue
		}
		missing = append(missing, p.cache.add(name))
	}
	for len(missing) > 0 {
		page := missing[:min(loadPage, len(missing))]
		missing = missing[len(page):]
		keys := make([]viewstore.Key, len(page))
		for i, e := range page {
			keys[i] = e.key
		}
		_, values, err := p.e.store.Load(ctx, p.number, &p.fence, keys)
		if err != nil {
			return fmt.Errorf("ingest: %w", err)
		}
		for i, value := range values {
			if value == nil {
				continue
			}
			v, err := diagnostics.Parse(value)
			if err != nil {
				return fmt.Errorf("ingest: p%02d %s: %w", p.number, page[i].name, err)
			}
			page[i].view = v
			p.cache.resize(page[i], len(value))
		}
	}
	return nil
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

// apply folds messages in order until all are, or until one commit is full.
func (p *partition) apply(batch []eventlog.Message, dead []eventlog.DeadLetter) (dirty []*entry, buried []eventlog.DeadLetter, rest []eventlog.Message, err error) {
	size := 0
	for i := range batch {
		m := &batch[i]
		event, rejection := p.decoder.Decode(message(m))
		if rejection != nil {
			p.e.s.metrics.events.WithLabelValues("dead_lettered").Inc()
			dead = append(dead, eventlog.DeadLetter{
				Identity: p.fence.Identity, Seq: m.Seq, Subject: m.Subject, Field: rejection.Field, Reason: rejection.Reason,
				Stored: m.Stored, Data: m.Data, Header: m.Header,
			})
			continue
		}
		e := p.cache.get(batchName(m.Subject))
		if e == nil {
			return nil, nil, nil, fmt.Errorf("ingest: p%02d: %s isn't loaded", p.number, m.Subject)
		}
		if e.view == nil {
			e.view = diagnostics.NewView(e.key.Namespace, e.key.Batch)
		}
		outcome := diagnostics.Fold(e.view, event)
		p.e.s.metrics.outcomes[outcome].Inc()
		switch {
		case outcome == diagnostics.Applied:
			e.view.Revision = m.Seq
		case outcome == diagnostics.Rejected:
			return nil, nil, nil, errors.New("ingest: an event was folded into another batch's view")
		}
		if event.Type == diagnostics.TypeHealth {
			e.view.HealthSeq = m.Seq
		} else if outcome == diagnostics.Unchanged {
			continue
		}
		if p.incomplete {
			e.view.Incomplete = true
		}
		if !e.dirty {
			e.dirty = true
			dirty = append(dirty, e)
			size += e.size
			if len(dirty) >= viewstore.MaxCommitViews || size >= viewstore.MaxCommitBytes/2 {
				return dirty, dead, batch[i+1:], nil
			}
		}
	}
	return dirty, dead, nil, nil
}

func message(m *eventlog.Message) diagnostics.Message {
	out := diagnostics.Message{Subject: m.Subject, Data: m.Data, Stored: m.Stored}
	if len(m.Header) > 0 {
		out.Attribute = attributes(m.Header)
	}
	return out
}

// attributes reads CloudEvents attributes off NATS headers, whose names may be written in any case.
func attributes(h nats.Header) func(string) string {
	return func(name string) string {
		want := "ce-" + name
		if name == "content-type" {
			want = name
		}
		for k, v := range h {
			if len(v) > 0 && strings.EqualFold(k, want) {
				return v[0]
			}
		}
		return ""
	}
}

// buryAtOnce bounds how many dead letters are sent side by side.
const buryAtOnce = 16

// bury stores dead letters; the cursor passes only what is acknowledged (rule 12).
func (p *partition) bury(ctx context.Context, dead []eventlog.DeadLetter) error {
	if len(dead) == 0 {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(buryAtOnce)
	for _, d := range dead {
		g.Go(func() error { return p.e.s.o.Log.DeadLetter(ctx, d) })
	}
	return g.Wait()
}

// writes encodes the changed views, each once.
func (p *partition) writes(to viewstore.Progress, dirty []*entry) []viewstore.Write {
	if len(dirty) == 0 {
		return nil
	}
	asOf := p.fence.Advance(to, p.e.s.o.Policies.Hold()).AsOf()
	out := make([]viewstore.Write, len(dirty))
	ends := make([]int, len(dirty))
	p.buffer = p.buffer[:0]
	for i, e := range dirty {
		p.buffer = p.encoder.Append(p.buffer, e.view)
		ends[i] = len(p.buffer)
		summary := diagnostics.Summarize(e.view, asOf, p.e.s.o.Policies.For(e.key.Namespace))
		out[i] = viewstore.Write{Key: e.key, Revision: e.view.Revision, Due: dueScore(summary.Check)}
		if row := summary.Row.AppendJSON(p.e.scratch()); !bytes.Equal(row, e.row) {
			e.row = append(e.row[:0], row...)
			out[i].Row = e.row
		}
		e.dirty = false
	}
	begin := 0
	for i, e := range dirty {
		out[i].Value = p.buffer[begin:ends[i]]
		p.cache.resize(e, ends[i]-begin)
		begin = ends[i]
	}
	return out
}

func (e *epoch) scratch() []byte { return make([]byte, 0, 512) }

// dueScore is a moment in ms, rounded up: rounded down the detector would look too early, and spin.
func dueScore(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	ns := at.UnixNano()
	ms := ns / int64(time.Millisecond)
	if ns%int64(time.Millisecond) > 0 {
		ms++
	}
	return ms
}

// flagAll marks every view of the partition as incomplete.
func (p *partition) flagAll(ctx context.Context) error {
	return p.e.store.Each(ctx, p.number, func(keys []viewstore.Key) error {
		var dirty []*entry
		_, values, err := p.e.store.Load(ctx, p.number, &p.fence, keys)
		if err != nil {
			return err
		}
		for i, value := range values {
			if value == nil {
				continue
			}
			v, err := diagnostics.Parse(value)
			if err != nil {
				return fmt.Errorf("ingest: p%02d: %w", p.number, err)
			}
			v.Incomplete = true
			dirty = append(dirty, &entry{key: keys[i], view: v})
		}
		to := viewstore.Progress{
			Cursor: p.fence.Cursor, CursorTime: p.fence.CursorTime, Watermark: p.fence.Watermark,
			EndSeen: p.fence.EndSeen,
		}
		return p.commit(ctx, to, p.writes(to, dirty))
	})
}
