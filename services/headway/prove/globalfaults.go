package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	floodSize   = 2000
	maxChannels = 4096
)

// namespaceFlood asks for many namespaces that don't exist, which must cost next to nothing.
func namespaceFlood(r *scene, ctx context.Context) error {
	api := r.of("api")[0]
	before, err := r.channels(ctx)
	if err != nil {
		return err
	}
	names := make(chan int)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for n := range names {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v1/batches?namespace=nobody-%d-%d", api.url, r.pulsed.Load(), n), nil)
				if err != nil {
					continue
				}
				if res, err := quickClient.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}
		})
	}
	for n := range floodSize {
		names <- n
	}
	close(names)
	all.Wait()
	after, err := r.channels(ctx)
	if err != nil {
		return err
	}
	if more := after - before; more > maxChannels {
		return fmt.Errorf("%d lists of namespaces that don't exist left %d channels", floodSize, more)
	}
	return nil
}

// channels is how many channels have subscribers, on all servers: on a cluster a program subscribes at any of them.
func (r *run) channels(ctx context.Context) (n int, err error) {
	for _, s := range r.redis.servers() {
		found, err := s.client.PubSubChannels(ctx, "hw:*").Result()
		if err != nil {
			return 0, err
		}
		n += len(found)
	}
	return n, nil
}

// halfPosts opens POSTs whose bodies never arrive. They must not prevent other requests.
func halfPosts(r *scene, ctx context.Context) error {
	api := r.of("api")[0]
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for n := range 64 {
		c, err := net.Dial("tcp", strings.TrimPrefix(api.url, "http://"))
		if err != nil {
			return err
		}
		held = append(held, c)
		if _, err := fmt.Fprintf(c, "POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Namespace: slow-%d\r\nContent-Type: application/cloudevents+json\r\nContent-Length: 4000\r\n\r\n{", n%2); err != nil {
			return err
		}
	}
	k := key{"victim", fmt.Sprintf("h%05d", r.pulsed.Add(1))}
	return within(ctx, r.within(judged), "another tenant's POST is taken", func() error {
		status, body, err := r.sender.postTo(ctx, api.url, k.ns, fmt.Appendf(nil,
			`{"specversion":"1.0","id":"half-%s","source":%q,"type":"dev.headway.batch.v1","subject":%q,"time":%q,"data":{"status":"COMPLETED"}}`,
			k.batch, source, k.batch, time.Now().UTC().Format(time.RFC3339Nano)))
		if err == nil && status != http.StatusAccepted {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
}

// diskFull temporarily prevents the server's account from storing more.
func diskFull(r *scene, ctx context.Context) error {
	return r.lacking(ctx, noDisk, func() error { return r.resize("64KB") }, func() error { return r.resize(diskSpace) })
}

func (r *run) configure(ctx context.Context, pairs ...string) error {
	return r.redis.each(ctx, func(c *redis.Client) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := c.ConfigSet(ctx, pairs[i], pairs[i+1]).Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

func memoryFull(r *scene, ctx context.Context) error {
	return r.lacking(ctx, noWrites, func() error { return r.configure(ctx, "maxmemory", "1mb") }, func() error { return r.configure(ctx, "maxmemory", "0") })
}

// readOnly makes Redis a replica of a port where nobody listens, so that it keeps its data and rejects writes. Primaries that have
// replicas want more of them than there are instead, because nothing takes the place of one that became a replica by itself.
func readOnly(r *scene, ctx context.Context) error {
	if r.has(replicas) {
		return r.lacking(ctx, noWrites, func() error { return r.configure(ctx, "min-replicas-to-write", "9") }, func() error { return r.configure(ctx, "min-replicas-to-write", "0") })
	}
	c := r.redis.shards[0].servers[0].client
	//nolint:staticcheck // the name that servers of version 6 know too
	return r.lacking(ctx, noWrites, func() error { return c.SlaveOf(ctx, "127.0.0.1", "1").Err() }, func() error { return c.SlaveOf(ctx, "NO", "ONE").Err() })
}

// evict makes Redis evict keys until a third is gone.
func evict(r *scene, ctx context.Context) error {
	return r.redis.each(ctx, func(c *redis.Client) error {
		used := int64(0)
		for line := range strings.Lines(c.Info(ctx, "memory").Val()) {
			_, _ = fmt.Sscanf(line, "used_memory:%d", &used)
		}
		before := c.DBSize(ctx).Val()
		err := c.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err()
		for limit := used; err == nil && limit > used/2 && c.DBSize(ctx).Val() > before*2/3; limit -= used / 500 {
			err = c.ConfigSet(ctx, "maxmemory", fmt.Sprint(limit)).Err()
			pause(ctx, 2*time.Millisecond)
		}
		err = errors.Join(err, c.ConfigSet(ctx, "maxmemory", "0").Err(), c.ConfigSet(ctx, "maxmemory-policy", "noeviction").Err())
		r.say("  %d keys, then %d", before, c.DBSize(ctx).Val())
		return err
	})
}

// logRecreated deletes and recreates the log while nothing is sent. From then on only the content of the new log
// counts.
func logRecreated(r *scene, ctx context.Context) error {
	r.sender.gate.Lock()
	defer r.sender.gate.Unlock()
	config, err := r.streamConfig(ctx, eventsStream)
	if err != nil {
		return err
	}
	// The history would be adopted: what it has of the previous log nobody here could check.
	if err := errors.Join(r.js.DeleteStream(ctx, historyStream), r.js.DeleteStream(ctx, eventsStream)); err != nil {
		return err
	}
	r.newLog()
	defer r.newLog() // programs may see the new log before this one does
	pause(ctx, r.jitter(0, 2000))
	_, err = r.js.CreateOrUpdateStream(ctx, config)
	return err
}

// newLog discards everything that belongs to the previous log.
func (r *run) newLog() {
	r.epoch.Add(1)
	r.journal.newLog()
	r.ledger.reset()
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.seen)
	clear(r.denied)
	r.plans, r.heard, r.deadFrom, r.healthFrom = nil, nil, 0, 0
}

// wrongClock restarts one program with a wrong clock, and later with the right one again.
func wrongClock(r *scene, ctx context.Context) error {
	p := r.programs[int(r.jitter(0, len(r.programs)-1).Milliseconds())]
	skew := []int{-7200, -90, 90, 7200}[int(r.jitter(0, 3).Milliseconds())]
	set := func(wrong bool, env string) error {
		p.kill()
		p.setEnv(env, "HEADWAY_SEEDED_BUG="+r.bug)
		r.mu.Lock()
		r.wrongClock[p] = wrong
		r.mu.Unlock()
		return p.start()
	}
	r.say("  %s is wrong by %d s", p.name, skew)
	if err := set(true, fmt.Sprintf("HEADWAY_PROVE_SKEW=%d", skew)); err != nil {
		return err
	}
	pause(ctx, 10*time.Second)
	r.recover(ctx, "wrong clock", "-", false)
	return set(false, "HEADWAY_PROVE_SKEW=0")
}

// outage simulates the loss of a machine: only the log is left.
func outage(r *scene, ctx context.Context) error {
	ingests := r.of("ingest")
	for _, p := range ingests {
		p.kill()
	}
	for _, sh := range r.redis.shards {
		if err := r.redis.restart(ctx, sh, false); err != nil {
			return err
		}
	}
	for _, p := range ingests {
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}
