package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

const (
	logRecreatedName = "log-recreated"
	clockName        = "clock"
	outageName       = "outage"
	replicaName      = "replica"
	sentinelName     = "sentinel"
	reshardName      = "reshard"
)

// needs says what a fault needs of Redis; "" if it can happen to any.
func (f otherFault) needs() string {
	return map[string]string{replicaName: replicas, sentinelName: someWatcher, reshardName: slots}[f.name]
}

// otherFaults returns the faults that aren't bound to a seam.
func otherFaults() []otherFault {
	return []otherFault{
		{"view-deleted", "the key of one view is deleted", true, false, viewDeleted},
		{"view-corrupt", "the value of one view is garbage", true, false, viewCorrupt},
		{"row-deleted", "one batch vanishes from the list", true, false, rowDeleted},
		{"fence-corrupt", "one partition's fence is garbage", true, false, fenceCorrupt},
		{"due-deleted", "one partition's due index is deleted", true, false, dueDeleted},
		{"due-corrupt", "one partition's due index is another type of key", true, false, dueCorrupt},
		{"due-unreadable", "one partition's due index is made unreadable again and again, for a while", true, false, dueUnreadable},
		{"health-deleted", "the stream " + healthStream + " is deleted", true, false, healthDeleted},
		{"dlq-deleted", "the stream " + deadStream + " is deleted, and poison comes", true, false, deadDeleted},
		{"huge-demand", "a job can't be placed for a demand of 600 KB", true, false, hugeDemand},
		{"huge-params", "60 events with parameters of 700 KB each", true, false, hugeParams},
		{"same-id", "two producers use the same Nats-Msg-Id", true, false, sameID},
		{"namespace-flood", "2,000 lists of namespaces that don't exist are asked for", true, false, namespaceFlood},
		{"half-posts", "64 clients send half of a POST and wait", true, false, halfPosts},

		{"disk-full", "the server stores nothing any more", false, false, diskFull},
		{"memory-full", "Redis refuses writes for want of memory", false, false, memoryFull},
		{"read-only", "Redis refuses writes, as a replica or for want of replicas", false, false, readOnly},
		{"evict", "Redis drops keys in silence (allkeys-lru)", false, true, evict},
		{logRecreatedName, "the log is deleted and made again", false, true, logRecreated},
		{outageName, "all ingests and Redis are killed, and started again with nothing", false, true, outage},
		{replicaName, "a replica of Redis is killed, and started again", false, false, replicaKilled},
		{sentinelName, "a sentinel is killed, and started again", false, false, sentinelKilled},
		{reshardName, "all slots of one primary that have keys move to another", false, false, reshard},
		{clockName, "a program's clock is wrong by hours", false, false, wrongClock},
	}
}

// tell sends one event of a batch until it is acknowledged.
func (r *run) tell(ctx context.Context, k key, kind, eventType, data string, header nats.Header) (uint64, error) {
	id := fmt.Sprintf("tell-%s-%d", k.batch, r.pulsed.Add(1))
	e := &event{key: k, id: id, kind: kind, data: fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":%q,"type":%q,"time":%q,"data":%s}`,
		id, source, eventType, time.Now().UTC().Format(time.RFC3339Nano), data)}
	return r.sendUntil(ctx, e, header, 3*time.Second, 30*time.Second)
}

func (r *run) moveOn(ctx context.Context, k key) (uint64, error) {
	return r.tell(ctx, k, "tier.0.progress", "dev.headway.tier.v1", `{"tier_num":0,"processed_documents":20,"total_documents":80}`, nil)
}

// keys returns the keys of the present log with a given suffix.
func (r *run) keys(ctx context.Context, p int, end string) ([]string, error) {
	identity := ""
	err := within(ctx, r.within(recovered), "an owner", func() (err error) { // the log may have been recreated a moment ago
		identity, err = r.identity(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	found, err := r.redis.names(ctx, fmt.Sprintf("hw:{p%02d}:%s-%d:%s", p, identity, diagnostics.FoldVersion, end))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no key of p%02d ends in %s", p, end)
	}
	return found, err
}

// viewHarmed damages the view of a victim. The same view must be served again within 10 s, with or without another
// event, and never be reported as missing.
func viewHarmed(r *scene, ctx context.Context, harm func(name string) error) error {
	k, seq, err := r.victim(ctx)
	if err != nil {
		return err
	}
	names, err := r.keys(ctx, partition(k), "v:"+k.ns+":"+k.batch)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := harm(n); err != nil {
			return err
		}
	}
	if r.jitter(0, 1) == 1 {
		if seq, err = r.moveOn(ctx, k); err != nil {
			return err
		}
	}
	for _, api := range r.of("api") {
		err := within(ctx, r.within(recovered), "the view is shown again", func() error {
			t, status, _, err := r.get(ctx, api, k, "")
			switch {
			case err != nil:
				return err
			case t == nil:
				return fmt.Errorf("%s answers %d", api.name, status)
			case t.View.Revision < seq || len(t.Tiers) == 0 || t.Tiers[0].Progress.Total != 80 || t.Status != "PROCESSING":
				return fmt.Errorf("%s shows revision %d: %s", api.name, t.View.Revision, t.still())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return within(ctx, r.within(recovered), "the view is stored again", func() error {
		return errorIf(r.redis.client.Exists(ctx, names...).Val() < int64(len(names)), "there is no such key")
	})
}

func errorIf(bad bool, says string) error {
	if bad {
		return errors.New(says)
	}
	return nil
}

func viewDeleted(r *scene, ctx context.Context) error {
	return viewHarmed(r, ctx, func(name string) error { return r.redis.client.Del(ctx, name).Err() })
}

func viewCorrupt(r *scene, ctx context.Context) error {
	return viewHarmed(r, ctx, func(name string) error { return r.redis.client.Set(ctx, name, "no view at all", 0).Err() })
}

func rowDeleted(r *scene, ctx context.Context) error {
	k, _, err := r.victim(ctx)
	if err != nil {
		return err
	}
	for end, remove := range map[string]func(string) error{
		"rows:" + k.ns: func(name string) error { return r.redis.client.HDel(ctx, name, k.batch).Err() },
		"list:" + k.ns: func(name string) error { return r.redis.client.ZRem(ctx, name, k.batch).Err() },
	} {
		names, err := r.keys(ctx, partition(k), end)
		if err != nil {
			return err
		}
		if err := remove(names[0]); err != nil {
			return err
		}
	}
	return within(ctx, r.within(recovered), "the batch is listed again", func() error {
		names, err := r.keys(ctx, partition(k), "rows:"+k.ns)
		if err != nil {
			return err
		}
		return errorIf(!r.redis.client.HExists(ctx, names[0], k.batch).Val(), "it has no row")
	})
}

// fenceCorrupt damages one fence. Events of all other partitions must get through unaffected.
func fenceCorrupt(r *scene, ctx context.Context) error {
	p := r.anyPartition()
	names, err := r.keys(ctx, p, "fence")
	if err != nil {
		return err
	}
	defer r.open(window{fault: "fence-corrupt", parts: map[int]bool{p: true}})()
	for _, n := range names {
		if err := r.redis.client.Set(ctx, n, "no fence at all", 0).Err(); err != nil {
			return err
		}
	}
	pause(ctx, 1500*time.Millisecond)
	probes, err := r.pulse(ctx, r.untouched())
	if err == nil {
		err = r.arrive(ctx, probes, r.within(judged))
	}
	if err != nil {
		return fmt.Errorf("the fence of p%02d is garbage, and others suffer: %w", p, err)
	}
	probes, err = r.pulse(ctx, []int{p})
	if err == nil {
		err = r.arrive(ctx, probes, r.within(recovered))
	}
	return err
}

// dueHarmed damages the due index: a victim that stands still must be announced all the same.
func dueHarmed(r *scene, ctx context.Context, harm func(name string) error) error {
	k, _, err := r.victim(ctx)
	if err != nil {
		return err
	}
	names, err := r.keys(ctx, partition(k), "due")
	if err != nil {
		return err
	}
	defer r.open(window{fault: "due", parts: map[int]bool{partition(k): true}})()
	for _, n := range names {
		if err := harm(n); err != nil {
			return err
		}
	}
	return r.announcedStuck(ctx, k, stallTimeout+r.within(announced))
}

// announcedStuck waits until the log contains the announcement that a batch is stuck. Whether consumers receive all of
// them is checked at rest, because nats-server takes up to 20 s to resume sourcing after the log was recreated.
func (r *run) announcedStuck(ctx context.Context, k key, limit time.Duration) error {
	return within(ctx, limit, "announcement that "+k.String()+" is stuck", func() error {
		s, err := r.js.Stream(ctx, eventsStream)
		if err != nil {
			return err
		}
		m, err := s.GetLastMsgForSubject(ctx, fmt.Sprintf("headway.log.%d.%s.%s.health", partition(k), k.ns, k.batch))
		if err != nil {
			return err
		}
		return errorIf(!strings.Contains(string(m.Data), `"to":"stuck"`), "another health was announced last")
	})
}

func dueDeleted(r *scene, ctx context.Context) error {
	return dueHarmed(r, ctx, func(name string) error { return r.redis.client.Del(ctx, name).Err() })
}

func dueCorrupt(r *scene, ctx context.Context) error {
	return dueHarmed(r, ctx, func(name string) error { return r.redis.client.Set(ctx, name, "no index at all", 0).Err() })
}

// dueUnreadable damages one partition's due index for longer than an announcement may take. Announcements of other
// partitions must not be late, which their deadlines show.
func dueUnreadable(r *scene, ctx context.Context) error {
	return dueHarmed(r, ctx, func(name string) error {
		end, cancel := context.WithTimeout(ctx, r.within(judged)+stallTimeout)
		defer cancel()
		for end.Err() == nil {
			if err := r.redis.client.Set(ctx, name, "no index at all", 0).Err(); err != nil {
				return err
			}
			pause(end, 50*time.Millisecond)
		}
		return nil
	})
}

// healthDeleted deletes the health stream. It must be recreated, and contain what is announced from then on.
func healthDeleted(r *scene, ctx context.Context) error {
	if err := r.js.DeleteStream(ctx, healthStream); err != nil {
		return err
	}
	// Nothing is removed from the log while it has no such stream.
	s, err := r.js.Stream(ctx, eventsStream)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.healthFrom = s.CachedInfo().State.FirstSeq
	r.mu.Unlock()
	k, _, err := r.victim(ctx)
	if err != nil {
		return err
	}
	return r.announcedStuck(ctx, k, stallTimeout+r.within(announced))
}

// deadDeleted deletes the dead-letter stream. Poison events must not block others, and be stored once the stream
// exists again.
func deadDeleted(r *scene, ctx context.Context) error {
	s, err := r.js.Stream(ctx, eventsStream)
	if err != nil {
		return err
	}
	if err := r.js.DeleteStream(ctx, deadStream); err != nil {
		return err
	}
	r.mu.Lock()
	r.deadFrom = s.CachedInfo().State.LastSeq + 1
	r.mu.Unlock()
	k := r.newVictim()
	defer r.open(window{fault: "dlq-deleted", parts: map[int]bool{partition(k): true}})()
	e := &event{key: k, id: fmt.Sprintf("%s-dlq-%d", poisonMark, r.pulsed.Add(1)), kind: "batch", poison: true}
	e.data = poisonText(1, e.id, time.Now())
	r.journal.begin(e)
	ack, err := r.js.Publish(ctx, "headway.events."+k.ns+"."+k.batch+"."+e.kind, e.data)
	if err != nil {
		return err
	}
	r.journal.acknowledged(e, ack.Sequence)
	seq, err := r.moveOn(ctx, k)
	if err != nil {
		return err
	}
	if err := r.arrive(ctx, []sent{{k, seq}}, r.within(recovered)); err != nil {
		return fmt.Errorf("poison holds up its batch: %w", err)
	}
	return nil
}

// hugeDemand sends a huge demand. It must be announced, and not delay other announcements, which their deadlines show.
func hugeDemand(r *scene, ctx context.Context) error {
	k, _, err := r.victim(ctx)
	if err != nil {
		return err
	}
	demand := `{"` + strings.Repeat("x", 600<<10) + `":1}`
	_, err = r.tell(ctx, k, "job.j1", "dev.headway.job.v1", fmt.Sprintf(
		`{"tier_num":0,"submission_id":"j1","status":"PENDING","waiting_on":{"kind":"resources","since":%q,"infeasible":true,"demand":%s}}`,
		time.Now().UTC().Format(time.RFC3339Nano), demand), nil)
	if err != nil {
		return err
	}
	bystander, _, err := r.victim(ctx)
	if err != nil {
		return err
	}
	if err := r.announcedStuck(ctx, bystander, stallTimeout+r.within(announced)); err != nil {
		return fmt.Errorf("a batch whose announcement would be too large holds up others: %w", err)
	}
	return r.announcedStuck(ctx, k, r.within(announced))
}

// hugeParams sends huge parameters, which must not block others of the same partition.
func hugeParams(r *scene, ctx context.Context) error {
	k, _, err := r.victim(ctx)
	if err != nil {
		return err
	}
	params := strings.Repeat("y", 700<<10)
	for n := range 60 {
		if _, err := r.tell(ctx, k, fmt.Sprintf("job.h%d", n), "dev.headway.job.v1",
			fmt.Sprintf(`{"tier_num":0,"submission_id":"h%d","status":"PENDING","submission_params":{"p":%q}}`, n, params), nil); err != nil {
			return err
		}
	}
	probes, err := r.pulse(ctx, []int{partition(k)})
	if err == nil {
		err = r.arrive(ctx, probes, r.within(judged))
	}
	if err != nil {
		return fmt.Errorf("a batch of 42 MB holds up its partition: %w", err)
	}
	return nil
}

// sameID reuses a message id: an acknowledged event must be stored even if its id was used before.
func sameID(r *scene, ctx context.Context) error {
	id := fmt.Sprintf("msg-%d", r.pulsed.Add(1))
	for n := range 2 {
		k := r.newVictim()
		seq, err := r.tell(ctx, k, "batch", "dev.headway.batch.v1", `{"status":"COMPLETED"}`, nats.Header{"Nats-Msg-Id": {id}})
		if err != nil {
			return err
		}
		if err := r.arrive(ctx, []sent{{k, seq}}, r.within(recovered)); err != nil {
			return fmt.Errorf("event %d of 2 with one Nats-Msg-Id, acknowledged as %d: %w", n+1, seq, err)
		}
		pause(ctx, time.Second)
	}
	return nil
}

// streamConfig returns the configuration with which a stream must be recreated.
func (r *run) streamConfig(ctx context.Context, name string) (jetstream.StreamConfig, error) {
	s, err := r.js.Stream(ctx, name)
	if err != nil {
		return jetstream.StreamConfig{}, err
	}
	c := s.CachedInfo().Config
	for k := range c.Metadata {
		if strings.HasPrefix(k, "_nats.") || k == "headway-incarnation" {
			delete(c.Metadata, k)
		}
	}
	return c, nil
}
