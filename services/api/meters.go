package api

import (
	"maps"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	burstFor    = 5        // seconds: as much as comes in so long may come at once
	leastBytes  = 64 << 10 // bytes that may come at once, however low the rate
	metersMost  = 10_000   // principals, or namespaces, that are counted by themselves
	rowsCharged = 1_000    // rows that a list looks at for the price of one more request
	readCharged = 100      // the same for changes of health, which are read from the log
	seenCharged = 10       // the same for namespaces
)

// meter counts what one principal or namespace does by the second. nil counts nothing.
type meter struct {
	quota *quota
	rates [rates]*rate.Limiter // nil: no limit
}

func newMeter(q *quota, leastEvents int) *meter {
	m := &meter{quota: q}
	for l := range rates {
		if q[l] > 0 {
			least := [rates]int64{requestRate: 1, eventRate: int64(leastEvents), byteRate: leastBytes}[l]
			m.rates[l] = rate.NewLimiter(rate.Limit(q[l]), int(min(math.MaxInt32, max(least, burstFor*q[l]))))
		}
	}
	return m
}

// take takes n if there is so much, and otherwise nothing.
func (m *meter) take(l limitID, now time.Time, n int) bool {
	return m == nil || m.rates[l] == nil || m.rates[l].AllowN(now, n)
}

// wait is how long it takes until there is so much; 0: it is there.
func (m *meter) wait(l limitID, now time.Time, n int) time.Duration {
	if m == nil || m.rates[l] == nil {
		return 0
	}
	missing := float64(min(n, m.rates[l].Burst())) - m.rates[l].TokensAt(now)
	return time.Duration(max(0, missing) / float64(m.rates[l].Limit()) * float64(time.Second))
}

// charge takes n, whether there is so much or not. Who is in debt has to wait.
func (m *meter) charge(l limitID, now time.Time, n int64) {
	if m == nil || m.rates[l] == nil {
		return
	}
	for most := int64(m.rates[l].Burst()); n > 0; n -= most {
		m.rates[l].ReserveN(now, int(min(n, most)))
	}
}

// idle reports whether the meter counts as one that is made anew.
func (m *meter) idle(now time.Time) bool {
	for _, r := range m.rates {
		if r != nil && r.TokensAt(now) < float64(r.Burst()) {
			return false
		}
	}
	return true
}

// meters are those of all principals, or of all namespaces. Their number is bounded: who has done nothing for a while is forgotten, which
// changes nothing, and beyond most newcomers share one meter.
type meters struct {
	quotas      *quotas
	leastEvents int
	most        int

	mu     sync.RWMutex
	per    map[subject]*meter
	swept  time.Time
	shared *meter
}

// subject is whose meter it is.
type subject struct{ kind, id string }

func newMeters(q *quotas, leastEvents int) *meters {
	return &meters{quotas: q, leastEvents: leastEvents, most: metersMost, per: map[subject]*meter{}, shared: newMeter(&q.standard, leastEvents)}
}

// of returns the meter of a subject; nil if it has no limits.
func (m *meters) of(s subject, now time.Time) *meter {
	q := m.quotas.of(s.id)
	if !q.metered() {
		return nil
	}
	m.mu.RLock()
	known := m.per[s]
	m.mu.RUnlock()
	if known != nil {
		return known
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.per[s]; known != nil {
		return known
	}
	if len(m.per) >= m.most && now.Sub(m.swept) > time.Second {
		m.swept = now
		maps.DeleteFunc(m.per, func(_ subject, x *meter) bool { return x.idle(now) })
	}
	if len(m.per) >= m.most && q == &m.quotas.standard {
		return m.shared
	}
	x := newMeter(q, m.leastEvents)
	m.per[s] = x
	return x
}

// fullest is how much of what may come at once is used up by the one that has used most of it, from 0 to 1.
func (m *meters) fullest(l limitID, now time.Time) (most float64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, x := range m.per {
		if r := x.rates[l]; r != nil {
			most = max(most, 1-r.TokensAt(now)/float64(r.Burst()))
		}
	}
	return min(1, most)
}
