package cli

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// scene is the state of everything that is watched. Its methods change nothing but the receiver.
type scene struct {
	namespace string
	batches   []*watched
	list      *watchedList // nil: batches are named
}

// watched is one batch.
type watched struct {
	name       string
	snapshot   *client.Snapshot
	received   time.Time
	connection client.Connection
	ended      bool
	err        error
}

// watchedList is all batches of the namespace.
type watchedList struct {
	health     []string
	rows       map[string]client.Row
	connection client.Connection
	ended      bool
	err        error
}

func newScene(batches []string, namespace string, health []string) *scene {
	s := &scene{namespace: namespace}
	for _, name := range batches {
		s.batches = append(s.batches, &watched{name: name})
	}
	if len(batches) == 0 {
		s.list = &watchedList{health: health, rows: map[string]client.Row{}}
	}
	return s
}

func (s *scene) find(batch string) *watched {
	for _, b := range s.batches {
		if b.name == batch {
			return b
		}
	}
	return &watched{} // never shown
}

func (s *scene) apply(u update, now time.Time) {
	if u.batch == "" && s.list != nil {
		s.list.apply(u)
		return
	}
	b := s.find(u.batch)
	switch {
	case u.snapshot != nil:
		b.snapshot, b.received = u.snapshot, now
	case u.connection != nil:
		b.connection = *u.connection
	case u.ended:
		b.ended, b.err = true, u.err
	}
}

func (l *watchedList) apply(u update) {
	switch {
	case u.connection != nil:
		l.connection = *u.connection
	case u.ended:
		l.ended, l.err = true, u.err
	}
	for _, row := range u.rows {
		if old, there := l.rows[row.BatchID]; !there && len(l.rows) >= maxRows || old.Revision > row.Revision {
			continue // full, or listed before it changed
		}
		l.rows[row.BatchID] = row
	}
}

func (l *watchedList) keeps(r client.Row) bool {
	return len(l.health) == 0 || slices.Contains(l.health, r.Health.String())
}

// need orders as the API does: stuck, degraded, scaling, ok.
var need = map[string]int{"stuck": 0, "degraded": 1, "scaling": 2, "ok": 3}

// shown are the rows to show, those in need first, the newest first among them.
func (l *watchedList) shown() []client.Row {
	out := make([]client.Row, 0, len(l.rows))
	for _, r := range l.rows {
		if l.keeps(r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b client.Row) int {
		return cmp.Or(cmp.Compare(need[a.Health.String()], need[b.Health.String()]), b.OrderedAt.Compare(a.OrderedAt), strings.Compare(a.BatchID, b.BatchID))
	})
	return out
}

// done reports whether everything has ended.
func (s *scene) done() bool {
	if s.list != nil {
		return s.list.ended
	}
	return !slices.ContainsFunc(s.batches, func(b *watched) bool { return !b.ended })
}

// asOf is the moment that is shown: it runs on with the clock while live, and stands still otherwise.
func (b *watched) asOf(now time.Time) time.Time {
	until := now
	if !b.connection.Live {
		until = b.connection.StaleSince
	}
	if b.ended || until.Before(b.received) {
		until = b.received
	}
	return b.snapshot.View.AsOf.Add(until.Sub(b.received))
}
