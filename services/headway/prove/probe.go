package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const partitions = 32

// partition computes the partition of a batch as the stream's subject transform does.
func partition(k key) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.ns))
	_, _ = h.Write([]byte(k.batch))
	return int(h.Sum32() % partitions)
}

// pulses are batches, one in each partition, that only serve to show that events get through.
var pulses = sync.OnceValue(func() []key {
	out := make([]key, partitions)
	for n, left := 0, partitions; left > 0; n++ {
		k := key{"pulse", fmt.Sprintf("p%d", n)}
		if p := partition(k); out[p].ns == "" {
			out[p] = k
			left--
		}
	}
	return out
})

// sent is a probe in progress: the revision under which it must be visible, and when it was acknowledged.
type sent struct {
	key
	seq uint64
}

// pulse sends one event to each of some partitions, and returns once all are acknowledged.
func (r *run) pulse(ctx context.Context, parts []int) ([]sent, error) {
	out := make([]sent, len(parts))
	errs := make([]error, len(parts))
	var all sync.WaitGroup
	n := r.pulsed.Add(1)
	for i, p := range parts {
		all.Go(func() {
			k := pulses()[p]
			e := &event{key: k, id: fmt.Sprintf("pulse-%d-%d", p, n), kind: "tier.0.progress", data: fmt.Appendf(nil,
				`{"specversion":"1.0","id":"pulse-%d-%d","source":%q,"type":"dev.headway.tier.v1","time":%q,"data":{"tier_num":0,"processed_documents":%d}}`,
				p, n, source, time.Now().UTC().Format(time.RFC3339Nano), n)}
			seq, err := r.sendUntil(ctx, e, nil, 2*time.Second, 60*time.Second)
			out[i], errs[i] = sent{k, seq}, err
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sendUntil retries an event, each attempt with a time limit, until the log acknowledges it or the total limit has
// passed. It waits while the log is being recreated.
func (r *run) sendUntil(ctx context.Context, e *event, header nats.Header, try, limit time.Duration) (seq uint64, err error) {
	r.journal.begin(e)
	err = within(ctx, limit, "an event is acknowledged", func() error {
		r.sender.gate.RLock()
		defer r.sender.gate.RUnlock()
		ctx, cancel := context.WithTimeout(ctx, try)
		defer cancel()
		ack, err := r.js.PublishMsg(ctx, &nats.Msg{Subject: "headway.events." + e.ns + "." + e.batch + "." + e.kind, Data: e.data, Header: header})
		if err == nil {
			seq = ack.Sequence
			r.journal.acknowledged(e, seq)
		}
		return err
	})
	return seq, err
}

// arrive waits until every api serves every probe.
func (r *run) arrive(ctx context.Context, probes []sent, limit time.Duration) error {
	for _, api := range r.of("api") {
		left, first := probes, ""
		err := within(ctx, limit, "events get through to "+api.name, func() error {
			var missing []sent
			for _, p := range left {
				t, status, _, err := r.get(ctx, api, p.key, "")
				if err != nil || t == nil || t.View.Revision < p.seq {
					missing = append(missing, p)
					if len(missing) == 1 {
						first = fmt.Sprintf("p%02d: %d %v", partition(p.key), status, err)
					}
					if err != nil {
						break // it doesn't answer
					}
				}
			}
			if left = missing; len(left) > 0 {
				return fmt.Errorf("%d of %d are missing, the first %s", len(left), len(probes), first)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func allPartitions() []int {
	out := make([]int, partitions)
	for p := range out {
		out[p] = p
	}
	return out
}

// recoverLimit bounds the wait for a recovery.
const recoverLimit = 60 * time.Second

// recover measures the time from the removal of a fault until an event of every partition is visible at every api.
func (r *run) recover(ctx context.Context, fault, seam string, wipes bool) {
	ctx = context.WithoutCancel(ctx)
	began := time.Now()
	probes, err := r.pulse(ctx, allPartitions())
	if err == nil {
		err = r.arrive(ctx, probes, recoverLimit)
	}
	took := time.Since(began)
	if err != nil {
		r.violate("recovery", "after %s at %s: %v", fault, seam, err)
		r.lies(ctx, fault)
	}
	r.mu.Lock()
	raw := r.rawRead
	r.recoveries = append(r.recoveries, recovery{fault, seam, wipes, took, raw})
	r.mu.Unlock()
	limit := r.within(recovered)
	if wipes {
		limit += raw * 3 / 2
	}
	if err == nil && took > limit {
		r.violate("recovery", "after %s at %s it took %.1f s until events got through again, more than %.1f s", fault, seam, took.Seconds(), limit.Seconds())
	}
}

// lies reports programs that claim to be ready while events don't get through.
func (r *run) lies(ctx context.Context, fault string) {
	if err := r.allReady(ctx); err == nil {
		r.violate("readiness", "all programs say that they are ready, and after %s events don't get through", fault)
	}
}
