package api

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headwayhq/headway/services/api/access"
)

// limiter holds every request against the limits of its principal and of its namespace.
type limiter struct {
	principals, namespaces *meters
	pair                   sync.Mutex // held while something is taken of two meters
}

func newLimiter(l *Limits, keyed bool) (*limiter, error) {
	p, err := l.principalQuotas(keyed)
	if err != nil {
		return nil, err
	}
	n, err := l.namespaceQuotas(keyed)
	if err != nil {
		return nil, err
	}
	return &limiter{principals: newMeters(p, l.Events), namespaces: newMeters(n, l.Events)}, nil
}

// principal returns the meter of who sends a request. Without access control that is everybody, for whom only limits of namespaces hold.
func (l *limiter) principal(p *access.Principal, now time.Time) *meter {
	if p.ID == "" {
		return nil
	}
	return l.principals.of(subject{p.Kind, p.ID}, now)
}

func (l *limiter) namespace(ns string, now time.Time) *meter {
	return l.namespaces.of(subject{ofNamespace, ns}, now)
}

// enter counts a request of a principal, before anything is done for it.
func (l *limiter) enter(p *access.Principal) error {
	now := time.Now()
	if m := l.principal(p, now); !m.take(requestRate, now, 1) {
		return overRate(requestRate, who(p), m.quota, m.wait(requestRate, now, 1))
	}
	return nil
}

// into counts a request for a namespace.
func (l *limiter) into(ns string) error {
	now := time.Now()
	if m := l.namespace(ns, now); !m.take(requestRate, now, 1) {
		return overRate(requestRate, ofThe(ns), m.quota, m.wait(requestRate, now, 1))
	}
	return nil
}

// also counts what a request has cost beyond others as so many more requests. ns may be "".
func (l *limiter) also(p *access.Principal, ns string, requests int) {
	if requests <= 0 {
		return
	}
	now := time.Now()
	l.principal(p, now).charge(requestRate, now, int64(requests))
	if ns != "" {
		l.namespace(ns, now).charge(requestRate, now, int64(requests))
	}
}

// sender is whose events a request has.
type sender struct {
	limiter   *limiter
	by        *access.Principal
	ns        string
	principal *meter
	namespace *meter
}

func (l *limiter) sender(p *access.Principal, ns string) sender {
	now := time.Now()
	return sender{l, p, ns, l.principal(p, now), l.namespace(ns, now)}
}

// tenants are those whose share of the memory for bodies a request uses.
func (s sender) tenants() []whose {
	if s.by.ID == "" {
		return []whose{ofThe(s.ns)}
	}
	return []whose{ofThe(s.ns), who(s.by)}
}

// ready refuses a body before it is read, if what came before it is above a limit.
func (s sender) ready() error {
	now := time.Now()
	if err := s.missing(byteRate, now, 1); err != nil {
		return err
	}
	return s.missing(eventRate, now, 1)
}

// missing says of which limit there isn't so much.
func (s sender) missing(l limitID, now time.Time, n int) error {
	if wait := s.principal.wait(l, now, n); wait > 0 {
		return overRate(l, who(s.by), s.principal.quota, wait)
	}
	if wait := s.namespace.wait(l, now, n); wait > 0 {
		return overRate(l, ofThe(s.ns), s.namespace.quota, wait)
	}
	return nil
}

// received counts the bytes of a body, whatever became of it. They have come already, so a body may exceed the limit, and those after it
// wait.
func (s sender) received(bytes int64) {
	now := time.Now()
	s.principal.charge(byteRate, now, bytes)
	s.namespace.charge(byteRate, now, bytes)
}

// events counts all events of a request, or none of them.
func (s sender) events(n int) error {
	if n == 0 || s.principal == nil && s.namespace == nil {
		return nil
	}
	s.limiter.pair.Lock()
	defer s.limiter.pair.Unlock()
	now := time.Now()
	if err := s.missing(eventRate, now, n); err != nil {
		return err
	}
	s.principal.take(eventRate, now, n)
	s.namespace.take(eventRate, now, n)
	return nil
}

// whose limit it is: the server's, a principal's or a namespace's.
type whose struct{ scope, kind, name string }

func ofThe(ns string) whose         { return whose{ofNamespace, ofNamespace, ns} }
func who(p *access.Principal) whose { return whose{ofPrincipal, p.Kind, p.ID} }

// key is what gates know it by.
func (w whose) key() string { return w.kind + " " + w.name }

func (w whose) String() string { return "The " + strings.TrimSpace(w.kind+" "+w.name) }

// overRate is the answer to who does too much in each second.
func overRate(l limitID, of whose, q *quota, wait time.Duration) *problemError {
	what := strings.TrimSuffix(limitTable[l].unit, "/s")
	then := "Nothing was done: send the same request again after Retry-After, and fewer from then on."
	if l != requestRate {
		then = "Nothing was stored: send the same request again after Retry-After."
	}
	return over("too_many_requests", l, of, q[l],
		of.String()+" sends more than "+strconv.FormatInt(q[l], 10)+" "+what+" a second. "+then).retry(max(wait, time.Millisecond))
}

// over is an answer that names a limit.
func over(kind string, l limitID, of whose, value int64, detail string) *problemError {
	e := problem(http.StatusTooManyRequests, kind, detail).retry(time.Second).
		detail("limit", l.String()).detail("of", of.scope).detail("value", value).detail("unit", limitTable[l].unit)
	if of.name != "" {
		e = e.detail(of.scope, of.name)
	}
	e.p.Limit = l.String()
	return e
}
