package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// census counts the batches of one partition that aren't over, by what their list rows say.
//
// The worker enters each row that it writes, and rows that were written before the claim are read once. Entering a row is
// idempotent, so the counts can't drift: a batch is counted in exactly one place, where its last row put it. Like the cache,
// a census is dropped with its partition (rule 2).
type census struct {
	mu     sync.Mutex
	open   map[string]*tally   // by "<namespace>.<batch>"
	counts map[standing]*tally // of those
	// Batches that a commit found over while older rows are still being read; nil afterwards.
	over map[string]struct{}
}

// standing is what a list row says of a batch that isn't over.
type standing struct {
	namespace string
	health    diagnostics.Health
	code      string // of the cause; "" if there is none
}

type tally struct {
	standing

	n int
}

func newCensus() *census {
	return &census{open: map[string]*tally{}, counts: map[standing]*tally{}, over: map[string]struct{}{}}
}

// enter counts a batch where its newest row puts it.
func (c *census) enter(name string, s standing, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.place(name, s, over)
	if over && c.over != nil {
		c.over[name] = struct{}{}
	}
}

// enterOld counts a batch by a row that may have been written before the claim, unless a newer one was entered.
func (c *census) enterOld(name string, s standing, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ended := c.over[name]; !ended && c.open[name] == nil {
		c.place(name, s, over)
	}
}

func (c *census) place(name string, s standing, over bool) {
	at := c.open[name]
	if at != nil && at.standing == s && !over {
		return
	}
	if at != nil {
		if at.n--; at.n == 0 {
			delete(c.counts, at.standing)
		}
		delete(c.open, name)
	}
	if over {
		return
	}
	to := c.counts[s]
	if to == nil {
		s.namespace = strings.Clone(s.namespace) // it may be part of a longer text, which would be kept with it
		to = &tally{standing: s}
		c.counts[s] = to
	}
	to.n++
	c.open[name] = to
}

// whole records that the rows from before the claim have been entered.
func (c *census) whole() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = nil
}

// each passes the counts to do, and reports whether they cover all batches of the partition.
func (c *census) each(do func(standing, int)) (whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		return false
	}
	for s, t := range c.counts {
		do(s, t.n)
	}
	return true
}

// codes has the known codes of causes, so that no producer can add values to a label.
var codes = func() map[string]string {
	out := map[string]string{"": ""}
	for _, code := range diagnostics.CauseCodes() {
		out[code] = code
	}
	return out
}()

// knownCode returns the code as a label. It doesn't share memory with its argument.
func knownCode(code string) string {
	if known, ok := codes[code]; ok {
		return known
	}
	return other
}

// standingOf is what a row that is about to be written says.
func standingOf(namespace string, r *diagnostics.Row) (s standing, over bool) {
	code := ""
	if r.Cause != nil {
		code = *r.Cause
	}
	return standing{namespace, r.Health, knownCode(code)}, diagnostics.Over(r.Status)
}

// standingIn is what a stored row says.
func standingIn(namespace, row string) (s standing, over bool, end time.Time, err error) {
	var r struct {
		Status    string             `json:"status"`
		Health    diagnostics.Health `json:"health"`
		Cause     string             `json:"cause"`
		AsOf      time.Time          `json:"as_of"`
		Completed *time.Time         `json:"completed_at"`
		Last      *time.Time         `json:"last_activity_at"`
	}
	err = json.Unmarshal([]byte(row), &r)
	end = heldFrom(&diagnostics.Row{Status: r.Status, CompletedAt: r.Completed, LastActivityAt: r.Last, AsOf: r.AsOf})
	return standing{namespace, r.Health, knownCode(r.Cause)}, !end.IsZero(), end, err
}

// enterStored enters the rows that were written before the claim, and retries until it has read all of them.
func (p *partition) enterStored(ctx context.Context) {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		select {
		case <-ctx.Done():
			return
		case p.counting <- struct{}{}:
		}
		err := p.store.EachRow(ctx, p.number, func(k viewstore.Key, row string) {
			s, over, end, err := standingIn(k.Namespace, row)
			if err != nil {
				p.logger.Warn("parsing list row failed, its batch isn't counted", "namespace", k.Namespace, "batch", k.Batch, "error", err)
				return
			}
			p.census.enterOld(k.Namespace+"."+k.Batch, s, over)
			p.ends.enterOld(k.Namespace+"."+k.Batch, end)
		})
		<-p.counting
		if err == nil {
			p.census.whole()
			p.ends.whole()
			return
		}
		if errors.Is(err, context.Canceled) {
			return
		}
		p.logger.Warn("counting batches failed, will retry", "partition", p.number, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry.NextBackOff()):
		}
	}
}
