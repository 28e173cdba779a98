package main

import (
	"sync"
	"time"
)

// fact is the result of sending an event.
type fact struct {
	key
	poison bool
	acked  time.Time // time of the first acknowledgement; zero if there is none yet
	seq    uint64    // in that acknowledgement; 0 over HTTP
	logged bool      // the log contains it
}

// journal records each attempt to send. An epoch ends when the log is recreated: earlier records are then void.
type journal struct {
	mu      sync.Mutex
	facts   map[string]*fact
	first   map[key]time.Time // when the first event of a batch was acknowledged
	last    map[key]time.Time // and the last one
	acked   int
	failed  int
	unknown int
	events  int
	void    int // those in a log that was deleted before they could be compared
}

func newJournal() *journal {
	return &journal{facts: map[string]*fact{}, first: map[key]time.Time{}, last: map[key]time.Time{}}
}

func (j *journal) begin(e *event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.facts[e.id] == nil {
		j.facts[e.id] = &fact{key: e.key, poison: e.poison}
		j.events++
	}
}

func (j *journal) acknowledged(e *event, seq uint64) {
	now := time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acked++
	f := j.facts[e.id]
	if f == nil {
		f = &fact{key: e.key, poison: e.poison}
		j.facts[e.id] = f
	}
	if f.acked.IsZero() {
		f.acked, f.seq = now, seq
		j.last[e.key] = now
	}
	if _, ok := j.first[e.key]; !ok && !e.poison {
		j.first[e.key] = now
	}
}

func (j *journal) lost(known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if known {
		j.failed++
	} else {
		j.unknown++
	}
}

// exists returns when a batch's first event was acknowledged, or zero if none was.
func (j *journal) exists(k key) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first[k]
}

func (j *journal) lastAck(k key) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last[k]
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events
}

// newLog discards all records, because the log is another one.
func (j *journal) newLog() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range j.facts {
		if !f.acked.IsZero() {
			j.void++
		}
	}
	clear(j.facts)
	clear(j.first)
	clear(j.last)
}

// forget drops the events that were found in the log, so that a long run needs no memory for them.
func (j *journal) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, f := range j.facts {
		if f.logged {
			delete(j.facts, id)
		}
	}
}
