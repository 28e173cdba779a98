package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// HTTP says how events reach Headway's API, for programs that can't reach NATS, or that have a key. URL is required.
type HTTP struct {
	URL   string       // of the API
	Token Token        // the credential, such as Key("hw_…"); nil: none is sent
	HTTP  *http.Client // default: one that waits 30 s for an answer
}

// Post returns a Client that sends events through the API. Its methods are those of one that is connected to NATS: what is queued at one
// time is sent in one request, and acknowledged when the log has stored it. An event is retried while the API can't be reached, is busy or
// not ready; what it refuses is a *StatusError, and an invalid event a *diagnostics.Rejection. Acks have no sequence numbers, and events in
// binary mode can't be sent. Options.Namespace has to be one of the credential's, and Options.NoStream has no meaning.
func Post(h HTTP, o Options) (*Client, error) {
	if h.HTTP == nil {
		h.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	to, err := newCaller(h.URL, h.Token, h.HTTP)
	if err != nil {
		return nil, err
	}
	p := &poster{caller: to, maxElapsed: o.MaxElapsed}
	return newClient(p.deliver, o), nil
}

// The most that one request carries. The API takes 1,000 events and 16 MiB by default.
const (
	postEvents = 500
	postBytes  = 4 << 20
)

// poster sends what is queued, one request at a time, so that what is queued meanwhile goes out together.
type poster struct {
	caller
	maxElapsed time.Duration

	mu     sync.Mutex
	queue  []*letter
	posts  bool  // somebody posts
	failed error // of the last attempt; nil if it succeeded
}

// letter is an event on its way.
type letter struct {
	ctx       context.Context
	namespace string
	data      []byte
	done      chan error // gets one error, or nil
}

// deliver returns once the event is stored or refused.
func (p *poster) deliver(ctx context.Context, m *nats.Msg) (uint64, error) {
	if why := misshapen(m.Subject); why != "" {
		return 0, fmt.Errorf("client: publish %q: %w: the subject %s", m.Subject, ErrRejected, why)
	}
	if len(m.Header) > 0 {
		return 0, fmt.Errorf("client: publish %s: %w: an event with headers can't be sent over HTTP", m.Subject, ErrRejected)
	}
	if !json.Valid(m.Data) { // it would spoil the request for others
		return 0, fmt.Errorf("client: publish %s: %w: it isn't JSON", m.Subject, ErrRejected)
	}
	limited := ctx
	if p.maxElapsed > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, p.maxElapsed)
		defer cancel()
	}
	l := &letter{limited, strings.Split(m.Subject, ".")[2], m.Data, make(chan error, 1)}
	p.mu.Lock()
	p.queue = append(p.queue, l)
	if !p.posts {
		p.posts = true
		go p.run()
	}
	p.mu.Unlock()
	var err error
	select {
	case err = <-l.done:
	case <-limited.Done():
		err = limited.Err()
		p.mu.Lock()
		if p.failed != nil {
			err = fmt.Errorf("%w, after %w", err, p.failed)
		}
		p.mu.Unlock()
	}
	if err != nil {
		return 0, fmt.Errorf("client: publish %s: %w", m.Subject, err)
	}
	return 0, nil
}

// run posts until nothing is queued.
func (p *poster) run() {
	for batch := p.next(); batch != nil; batch = p.next() {
		p.post(batch)
	}
}

// next takes the events of the next request: queued ones of one namespace.
func (p *poster) next() (batch []*letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := 0
	rest := p.queue[:0:0]
	for _, l := range p.queue {
		switch {
		case l.ctx.Err() != nil: // its sender has left
		case len(batch) > 0 && (l.namespace != batch[0].namespace || len(batch) == postEvents || size+len(l.data) > postBytes):
			rest = append(rest, l)
		default:
			batch, size = append(batch, l), size+len(l.data)+1
		}
	}
	p.queue, p.posts = rest, batch != nil
	return batch
}

// post sends one request until it is answered, or everybody who waits for it has left.
func (p *poster) post(batch []*letter) {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		waiting := batch[:0:0]
		for _, l := range batch {
			if l.ctx.Err() == nil {
				waiting = append(waiting, l)
			}
		}
		if len(waiting) == 0 {
			return
		}
		batch = waiting
		err := p.once(batch)
		p.mu.Lock()
		p.failed = err
		p.mu.Unlock()
		var status *StatusError
		answered := errors.As(err, &status)
		switch {
		case err == nil:
			answer(batch, nil)
			return
		case answered && len(status.refused) > 0:
			batch = p.drop(batch, status)
			continue
		case answered && status.Status == http.StatusRequestEntityTooLarge && len(batch) > 1:
			p.post(batch[:len(batch)/2])
			batch = batch[len(batch)/2:]
			continue
		case answered && !status.passes():
			answer(batch, err)
			return
		}
		pause := wait.NextBackOff()
		if answered {
			pause = max(pause, status.RetryAfter)
		}
		p.sleep(pause, batch)
	}
}

// sleep waits, but not longer than the sender of some event.
func (p *poster) sleep(pause time.Duration, batch []*letter) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-batch[0].ctx.Done():
	}
}

// drop answers the events that the API refused, and returns the others: none of the request was stored.
func (p *poster) drop(batch []*letter, status *StatusError) (rest []*letter) {
	why := map[int]error{}
	for _, r := range status.refused {
		why[r.Index] = &diagnostics.Rejection{Field: r.Field, Reason: r.Reason}
	}
	for i, l := range batch {
		if no := why[i]; no != nil {
			l.done <- no
		} else {
			rest = append(rest, l)
		}
	}
	if len(rest) == len(batch) { // it names none of them
		answer(batch, status)
		return nil
	}
	return rest
}

func answer(batch []*letter, err error) {
	for _, l := range batch {
		l.done <- err
	}
}

// once sends one request. Its events share it, so none of their contexts bounds it: the HTTP client's timeout does.
func (p *poster) once(batch []*letter) error {
	var body bytes.Buffer
	body.WriteByte('[')
	for i, l := range batch {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(l.data)
	}
	body.WriteByte(']')
	ctx := context.WithoutCancel(batch[0].ctx)
	response, _, err := p.send(ctx, "", func() (*http.Request, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/v1/events", bytes.NewReader(body.Bytes()))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/cloudevents-batch+json")
		request.Header.Set("X-Namespace", batch[0].namespace)
		return request, nil
	})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var stored struct{ Accepted int }
	if err := json.NewDecoder(response.Body).Decode(&stored); err != nil || stored.Accepted != len(batch) {
		return fmt.Errorf("client: %s: it isn't the answer of Headway's API to %d events", response.Status, len(batch))
	}
	return nil
}
