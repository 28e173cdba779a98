package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// told is the part of a snapshot that doesn't change with the clock.
type told struct {
	Status   string  `json:"status"`
	Health   string  `json:"health"`
	Failures bool    `json:"has_failures"`
	Progress float64 `json:"overall_progress"`
	View     struct {
		ID       string    `json:"id"`
		AsOf     time.Time `json:"as_of"`
		Revision uint64    `json:"revision"`
	} `json:"view"`
	Stuck    *float64 `json:"stuck_seconds"`
	Evidence struct {
		Since *time.Time `json:"since"`
	} `json:"health_evidence"`
	Tiers []struct {
		Status   string `json:"status"`
		Failed   int64  `json:"failed_documents"`
		Progress struct {
			Processed int64 `json:"processed_documents"`
			Total     int64 `json:"total_documents"`
		} `json:"progress"`
		Jobs []struct {
			ID     string `json:"ray_job_id"`
			Status string `json:"status"`
		} `json:"jobs"`
	} `json:"tiers"`
}

// still returns what two answers of the same revision and health must have in common. The sentence is left out: it may change with
// time alone, and the two may be of different moments.
func (t *told) still() string {
	return fmt.Sprint(t.View.ID, t.Status, t.Health, t.Failures, t.Progress, t.Tiers)
}

// revision splits an id <identity>-<fold>-<sequence>, which a hash may follow.
func revision(id string) (identity string, seq uint64) {
	id, _, _ = strings.Cut(id, ".")
	first, last := strings.IndexByte(id, '-'), strings.LastIndexByte(id, '-')
	if first < 0 {
		return "", 0
	}
	seq, _ = strconv.ParseUint(id[last+1:], 10, 64)
	return id[:first], seq
}

func diagnosticsURL(api *program, k key) string {
	return api.url + "/v1/analytics/performance/batches/" + k.batch + "/diagnostics?namespace=" + k.ns
}

var quickClient = &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// get requests a batch from an api. t is nil unless the status is 200.
func (r *run) get(ctx context.Context, api *program, k key, tag string) (t *told, status int, etag string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, diagnosticsURL(api, k), nil)
	if err != nil {
		return nil, 0, "", err
	}
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	epoch, began := r.epoch.Load(), time.Now()
	res, err := quickClient.Do(req)
	if err != nil {
		if r.sender.held(api, began) && ctx.Err() == nil {
			r.violate("held", "a GET to %s took %.1f s: %v", api.name, time.Since(began).Seconds(), err)
		}
		return nil, 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, 0, "", err
	}
	if r.sender.held(api, began) {
		r.violate("held", "a GET to %s took %.1f s, answered %d", api.name, time.Since(began).Seconds(), res.StatusCode)
	}
	switch res.StatusCode {
	case http.StatusOK:
		t = new(told)
		if err := json.Unmarshal(body, t); err != nil {
			r.violate("http", "%s answered with what can't be read: %v", api.name, err)
			return nil, 0, "", err
		}
		r.mu.Lock()
		if epoch == r.epoch.Load() {
			r.shown(api, k)
		}
		r.mu.Unlock()
	case http.StatusNotModified:
	case http.StatusServiceUnavailable:
		if res.Header.Get("Retry-After") == "" {
			r.violate("http", "%s answered 503 without Retry-After: %s", api.name, body)
		}
	case http.StatusNotFound:
		r.absent(api, k, epoch, began, "GET")
	default:
		r.violate("http", "%s answered GET with %d: %.300s", api.name, res.StatusCode, body)
	}
	return t, res.StatusCode, res.Header.Get("ETag"), nil
}

// knownAfter is how long after its acknowledgement a batch may be unknown to an api that hasn't served it yet.
const knownAfter = freshWithin + 2*time.Second

// shown records that an api served a batch. r.mu must be held.
func (r *run) shown(api *program, k key) {
	if r.seen[k] == nil {
		r.seen[k] = map[string]time.Time{}
	}
	if r.seen[k][api.name].IsZero() {
		r.seen[k][api.name] = time.Now()
	}
}

// heardWithin is how soon every api notices the position of a Redis that was rolled back: it reads all fences once a
// second.
const heardWithin = 2 * time.Second

// known says why an api must know a batch at the time of a request: it has shown it, or another api has for a while. What was shown
// just before Redis lost data may be known to that api alone. "" is not known. r.mu must be held.
func (r *run) known(api *program, k key, asked time.Time) string {
	for by, at := range r.seen[k] {
		until := asked
		if at.Before(r.lost) {
			until = r.lost
		}
		if by == api.name && api.up(at) || until.Sub(at) > r.within(heardWithin) {
			return fmt.Sprintf("%s showed it %.1f s before", by, asked.Sub(at).Seconds())
		}
	}
	return ""
}

// absent judges a 404: a batch that was served before, or has existed for long, must not be reported as missing.
func (r *run) absent(api *program, k key, epoch int64, asked time.Time, how string) {
	if r.epoch.Load() != epoch {
		return
	}
	r.mu.Lock()
	seen, denied := r.known(api, k, asked), r.denied[k]
	r.denied[k] = true
	r.mu.Unlock()
	since := r.journal.exists(k)
	if denied {
		return // already reported
	}
	switch {
	case seen != "":
		r.violate("absence", "%s answered %s of %s with 404, although %s", api.name, how, k, seen)
	case !since.IsZero() && asked.Sub(since) > knownAfter:
		r.violate("absence", "%s answered %s of %s with 404, %.0f s after its first event was acknowledged", api.name, how, k, asked.Sub(since).Seconds())
	default:
		r.mu.Lock()
		delete(r.denied, k)
		r.mu.Unlock()
	}
}

// poll requests random batches as a dashboard would, and checks that no revision goes back.
func (r *run) poll(ctx context.Context, api *program, rng *rand.Rand) {
	type held struct {
		identity string
		seq      uint64
		tag      string
	}
	have := map[key]held{}
	for pause(ctx, time.Duration(50+rng.IntN(200))*time.Millisecond) {
		p := r.begun(rng)
		if p == nil {
			continue
		}
		h := have[p.key]
		t, _, tag, err := r.get(ctx, api, p.key, h.tag)
		if err != nil || t == nil {
			continue
		}
		identity, seq := revision(t.View.ID)
		if identity == h.identity && seq < h.seq {
			r.violate("revisions", "%s gave revision %d of %s to one who holds %d", api.name, seq, p.key, h.seq)
		}
		have[p.key] = held{identity, seq, tag}
	}
}

// trespass requests batches of one namespace with another's credential.
func (r *run) trespass(ctx context.Context, rng *rand.Rand) {
	for pause(ctx, 300*time.Millisecond) {
		p := r.begun(rng)
		if p == nil {
			continue
		}
		apis := r.of("api")
		api := apis[rng.IntN(len(apis))]
		address := api.url + "/v1/analytics/performance/batches/" + p.batch + "/diagnostics"
		if rng.IntN(2) == 0 {
			address += "?namespace=" + p.ns
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			continue
		}
		req.Header.Set("X-Namespace", "intruder")
		res, err := quickClient.Do(req)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			r.violate("tenants", "%s shows %s to another namespace", api.name, p.key)
		}
	}
}

// clients follow event streams.
type clients struct {
	r    *run
	http *http.Client
	open sync.WaitGroup

	mu     sync.Mutex
	each   []*client
	frames int
}

// client is one of them. It changes the replica at each reconnection.
type client struct {
	*plan
	rng *rand.Rand

	mu    sync.Mutex
	id    string
	data  []byte
	ended bool
}

func newClients(r *run) *clients {
	return &clients{r: r, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

func (c *clients) wait() {
	c.open.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each = nil
}

func (c *clients) all() []*client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*client(nil), c.each...)
}

func (c *clients) follow(ctx context.Context, p *plan, seed uint64) {
	one := &client{plan: p, rng: rand.New(rand.NewPCG(c.r.Seed, seed))}
	c.mu.Lock()
	c.each = append(c.each, one)
	c.mu.Unlock()
	c.open.Go(func() {
		for ctx.Err() == nil {
			if c.connect(ctx, one) {
				return
			}
			pause(ctx, time.Duration(200+one.rng.IntN(800))*time.Millisecond)
		}
	})
}

// connect follows one connection to its end, and returns whether the batch has ended.
func (c *clients) connect(ctx context.Context, one *client) (ended bool) {
	apis := c.r.of("api")
	api := apis[one.rng.IntN(len(apis))]
	// Some connections are short, so that clients resume from the last event they received.
	if one.rng.IntN(2) == 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(1+one.rng.IntN(15))*time.Second)
		defer cancel()
		ctx = limited
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.Replace(diagnosticsURL(api, one.key), "/diagnostics?", "/diagnostics/stream?", 1), nil)
	if err != nil {
		return false
	}
	if one.id != "" {
		req.Header.Set("Last-Event-ID", one.id)
	}
	epoch, began := c.r.epoch.Load(), time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		return c.read(one, api, res.Body)
	case http.StatusNoContent:
		one.mu.Lock()
		one.ended = true
		one.mu.Unlock()
		return true
	case http.StatusNotFound:
		c.r.absent(api, one.key, epoch, began, "a stream")
	}
	return false
}

func (c *clients) read(one *client, api *program, body io.Reader) (ended bool) {
	in := bufio.NewReaderSize(body, 1<<16)
	var id, name string
	var data []byte
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		switch line = strings.TrimRight(line, "\n"); {
		case line == "" && len(data) > 0:
			c.take(one, api, id, data)
			if name == "end" {
				one.mu.Lock()
				one.ended = true
				one.mu.Unlock()
				return true
			}
			id, name, data = "", "", nil
		case strings.HasPrefix(line, "id: "):
			id = line[4:]
		case strings.HasPrefix(line, "event: "):
			name = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = append(data, line[6:]...)
		}
	}
}

// take checks that what a client receives never goes back.
func (c *clients) take(one *client, api *program, id string, data []byte) {
	one.mu.Lock()
	defer one.mu.Unlock()
	identity, seq := revision(id)
	if had, before := revision(one.id); had == identity && seq < before {
		c.r.violate("revisions", "%s sent revision %d of %s to a client that has seen %d", api.name, seq, one.key, before)
	}
	one.id, one.data = id, append([]byte(nil), data...)
	c.mu.Lock()
	c.frames++
	c.mu.Unlock()
}

// listen reads announcements as a downstream consumer does, and starts again if the stream was deleted.
func (r *run) listen(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, 300*time.Millisecond) {
		s, err := r.js.Stream(ctx, healthStream)
		if err != nil {
			continue
		}
		c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
		if err != nil {
			continue
		}
		created := s.CachedInfo().Created
		it, err := c.Messages()
		if err != nil {
			continue
		}
		for ctx.Err() == nil {
			m, err := it.Next(jetstream.NextMaxWait(2 * time.Second))
			if err == nil {
				r.hear(m)
				continue
			}
			if again, err := r.js.Stream(ctx, healthStream); err != nil || !again.CachedInfo().Created.Equal(created) {
				break
			}
		}
		it.Stop()
	}
}

// hear records when a consumer first received a change.
func (r *run) hear(m jetstream.Msg) {
	var c struct {
		ID   string `json:"id"`
		Data struct {
			Namespace string `json:"namespace"`
		} `json:"data"`
	}
	if json.Unmarshal(m.Data(), &c) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard == nil {
		r.heard = map[string]time.Time{}
	}
	if name := c.Data.Namespace + "/" + c.ID; r.heard[name].IsZero() {
		r.heard[name] = time.Now()
	}
}

// downFor is how long a server may be away before the programs that need it must report that they aren't ready.
const downFor = 10 * time.Second

// impairment is something missing without which a program can't work.
type impairment struct {
	what  string
	kinds string           // kinds of programs that need it
	since func() time.Time // zero: nothing is missing
}

func (r *run) impairments() []impairment {
	gone := func(what string) func() time.Time {
		return func() time.Time {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.impaired[what]
		}
	}
	return []impairment{
		{"nats-server went away", "ingest detector", r.nats.down}, // the api reads only views
		{"redis-server went away", "ingest detector api", r.redis.down},
		{noDisk, "ingest detector", gone(noDisk)},
		{noWrites, "ingest detector", gone(noWrites)},
	}
}

const (
	noDisk   = "nats-server stores nothing any more"
	noWrites = "redis-server refuses writes"
)

// lacking removes something for a while, sometimes for so long that readiness must report it.
func (r *run) lacking(ctx context.Context, what string, take, give func() error) error {
	if err := take(); err != nil {
		return err
	}
	r.mu.Lock()
	r.impaired[what] = time.Now()
	r.mu.Unlock()
	r.hang(ctx)
	r.mu.Lock()
	delete(r.impaired, what)
	r.mu.Unlock()
	return give()
}

// watchReadiness samples the readiness that the programs report.
func (r *run) watchReadiness(ctx context.Context) {
	lied := map[string]time.Time{}
	for pause(ctx, 500*time.Millisecond) {
		for _, i := range r.impairments() {
			for _, p := range r.programs {
				since := i.since()
				if since.IsZero() || time.Since(since) < downFor || !strings.Contains(i.kinds, p.kind) || !p.up(time.Now().Add(-downFor)) {
					continue
				}
				if name := p.name + i.what; p.ready(ctx) == nil && i.since().Equal(since) && lied[name].Before(since) {
					lied[name] = time.Now()
					r.violate("readiness", "%s says that it is ready, %.0f s after %s", p.name, time.Since(since).Seconds(), i.what)
				}
			}
		}
		for _, p := range slices.Concat([]*process{r.nats}, r.redis.processes(), processes(r.programs)) {
			p.mu.Lock()
			err := p.unwanted
			p.unwanted = nil
			p.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				r.violate("crash", "%v", err)
				_ = p.start()
			}
		}
	}
}

func processes(all []*program) []*process {
	out := make([]*process, len(all))
	for i, p := range all {
		out[i] = p.process
	}
	return out
}
