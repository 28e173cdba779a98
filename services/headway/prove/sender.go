package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sender sends events over NATS and HTTP, each until it is acknowledged, and records every attempt.
type sender struct {
	r    *run
	http *http.Client
	open sync.WaitGroup // events being sent
	gate sync.RWMutex   // held for writing while the log is being recreated: nothing is sent then
	n    atomic.Uint64
	busy chan struct{} // bounds concurrent sends, because retries must not overload a server that comes back
}

const sendAtOnce = 256

func newSender(r *run) *sender {
	return &sender{r: r, busy: make(chan struct{}, sendAtOnce), http: &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

// play sends the events of a plan, each when it becomes true or later by its delay.
func (s *sender) play(ctx context.Context, p *plan) {
	for i := range p.events {
		e := &p.events[i]
		s.open.Go(func() {
			if !pause(ctx, time.Until(p.begin.Add(e.at+e.delay))) {
				return
			}
			s.send(ctx, e)
			if e.again > 0 && pause(ctx, e.again) {
				s.send(ctx, e)
			}
		})
	}
}

// send retries until the event is acknowledged.
func (s *sender) send(ctx context.Context, e *event) {
	s.r.journal.begin(e)
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 2*time.Second) {
		s.busy <- struct{}{}
		s.gate.RLock()
		seq, known, err := s.try(ctx, e)
		if err == nil {
			s.r.journal.acknowledged(e, seq)
		}
		s.gate.RUnlock()
		<-s.busy
		if err == nil {
			return
		}
		s.r.journal.lost(known)
		pause(ctx, wait)
	}
}

// try sends once. known means that the event certainly wasn't stored.
func (s *sender) try(ctx context.Context, e *event) (seq uint64, known bool, err error) {
	if n := s.n.Add(1); n%4 == 0 && !e.poison {
		return s.post(ctx, e, int(n/4))
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	ack, err := s.r.js.PublishMsg(ctx, &nats.Msg{Subject: "headway.events." + e.ns + "." + e.batch + "." + e.kind, Data: e.data}, jetstream.WithRetryAttempts(0))
	if err != nil {
		var refused *jetstream.APIError
		return 0, errors.As(err, &refused), err
	}
	if ack.Duplicate {
		s.r.violate("loss", "an event without a message id was taken for a duplicate: %s", e.id)
	}
	return ack.Sequence, false, nil
}

func (s *sender) post(ctx context.Context, e *event, n int) (seq uint64, known bool, err error) {
	apis := s.r.of("api")
	api := apis[n%len(apis)]
	began := time.Now()
	status, body, err := s.postTo(ctx, api.url, e.ns, e.data)
	if s.held(api, began) {
		s.r.violate("held", "a POST to %s took %.1f s: %v %s", api.name, time.Since(began).Seconds(), err, body)
	}
	switch {
	case err != nil:
		return 0, false, err
	case status == http.StatusAccepted:
		return 0, false, nil
	case status == http.StatusBadRequest && !s.r.skewed(api):
		s.r.violate("refusals", "%s refused a valid event: %s\n%s", api.name, body, e.data)
	case status >= 500 && status != http.StatusServiceUnavailable:
		s.r.violate("http", "%s answered POST with %d: %s", api.name, status, body)
	}
	return 0, status < 500, fmt.Errorf("%d", status)
}

// held reports whether a request took longer than allowed, although the program was able to answer all the while.
func (s *sender) held(p *program, began time.Time) bool {
	return time.Since(began) > s.r.within(heldLimit) && p.up(began)
}

// heldLimit is 5 s for a wait on Redis or NATS, plus a margin for an overloaded machine.
const heldLimit = 7 * time.Second

func (s *sender) postTo(ctx context.Context, url, ns string, data []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/events", bytes.NewReader(data))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	req.Header.Set("X-Namespace", ns)
	res, err := s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, body, err
}

// refusedPosts occasionally sends poison over HTTP, which must be rejected and not stored.
func (s *sender) refusedPosts(ctx context.Context, rng *rand.Rand) {
	for pause(ctx, time.Second) {
		apis := s.r.of("api")
		api := apis[rng.IntN(len(apis))]
		id := fmt.Sprintf("%s-http-%d", poisonMark, rng.Uint32())
		status, body, err := s.postTo(ctx, api.url, "team-1", poisonText(rng.IntN(poisonKinds), id, time.Now().UTC()))
		if err == nil && status/100 == 2 {
			s.r.violate("refusals", "%s accepted what must be refused: %s", api.name, body)
		}
	}
}
