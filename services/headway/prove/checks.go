package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// checkNames are the checks, with the promise that each one verifies.
var checkNames = [][2]string{
	{"loss", "what was acknowledged is in the log"},
	{"dead-letters", "what must be refused is kept aside, once, and nothing else is"},
	{"refusals", "what is valid is taken, what isn't is refused"},
	{"views", "every view equals an offline fold of the log, byte for byte"},
	{"model", "every batch is told as its own script says: status, counts, jobs, health, marks"},
	{"health", "each change of health is announced once, in order, and the last is what stands"},
	{"alarms", "no batch is called stuck whose producer never stood still: an outage of ours is no stall of theirs"},
	{"in-time", "what stands is announced within 5 s of its time, or 10 s after a fault that touched it was over"},
	{"heard", "what is announced reaches consumers of " + healthStream + ", all of it"},
	{"revisions", "no revision goes back, for a poller or a client of event streams"},
	{"frames", "clients of event streams end on what GET says"},
	{"absence", "what exists is never denied"},
	{"tenants", "nothing of one namespace is shown to another"},
	{"lists", "lists hold every batch, as its own script says"},
	{"readiness", "who says that it is ready does its work"},
	{"recovery", "within 10 s events get through again; after a wipe within 10 s and 1.5 raw reads of the log"},
	{"containment", "one odd thing holds up nobody else, and is got over"},
	{"held", "no request is held for longer than it may"},
	{"http", "no answer but those that are documented"},
	{"crash", "no program ends by itself"},
	{"harness", "the proving ground itself works"},
}

// rest waits until the last batches have ended and all timers have passed, and then compares everything.
func (r *run) rest(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	r.say("rest")
	done := make(chan struct{})
	go func() { r.sender.open.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(90 * time.Second):
		r.violate("loss", "after 90 s of rest some events still aren't acknowledged")
		return
	case <-ctx.Done():
		return
	}
	if err := within(ctx, 30*time.Second, "all programs ready at rest", func() error { return r.allReady(ctx) }); err != nil {
		r.violate("readiness", "%v", err)
	}
	pause(ctx, stallTimeout+2*time.Second)
	_ = within(ctx, 25*time.Second, "announcements", func() error {
		if err := r.ledger.catchUp(ctx); err != nil {
			return err
		}
		return r.awaited()
	})
	// Announcements may not have been folded into the views yet, so the comparison is repeated until it holds at one
	// moment.
	err := within(ctx, 25*time.Second, "views equal to an offline fold", func() error {
		if err := r.ledger.catchUp(ctx); err != nil {
			return err
		}
		return r.ledger.compareViews(ctx)
	})
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.violate("views", "%v", err)
	}
	r.checkLoss()
	r.checkDead(ctx)
	r.checkHealth()
	r.checkModel(ctx)
	r.checkLists(ctx)
	r.checkHeard(ctx)
	r.checkFrames(ctx)
	r.readRaw(ctx)
}

// awaited names a batch whose health isn't announced yet. Another check verifies the deadline.
func (r *run) awaited() error {
	for _, p := range r.plans {
		at := "ok"
		if chain := r.ledger.health[p.key]; len(chain) > 0 {
			at = chain[len(chain)-1].to
		}
		if !p.says(at) {
			return fmt.Errorf("%s is announced as %s", p.key, at)
		}
	}
	return nil
}

func (r *run) checkLoss() {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	for id, f := range r.journal.facts {
		if !f.acked.IsZero() && !f.logged {
			r.violate("loss", "%s of %s was acknowledged (sequence %d), and the log doesn't hold it", id, f.key, f.seq)
		}
	}
}

// checkDead checks that each message that must be rejected has exactly one dead letter.
func (r *run) checkDead(ctx context.Context) {
	s, err := r.js.Stream(ctx, deadStream)
	if err != nil {
		r.violate("dead-letters", "%v", err)
		return
	}
	info := s.CachedInfo()
	letters := map[uint64]int{}
	if info.State.Msgs > 0 {
		created, err := r.js.Stream(ctx, eventsStream)
		if err != nil {
			r.violate("dead-letters", "%v", err)
			return
		}
		identity := identityOf(created.CachedInfo().Created)
		err = readFrom(ctx, s, 1, info.State.LastSeq, func(m jetstream.Msg, _ *jetstream.MsgMetadata) {
			of := strings.Split(m.Subject(), ".")
			if seq, err := strconv.ParseUint(of[len(of)-1], 10, 64); err == nil && strings.HasPrefix(of[len(of)-2], identity) {
				letters[seq]++
			}
		})
		if err != nil {
			r.violate("dead-letters", "%v", err)
			return
		}
	}
	for seq := range r.ledger.poison {
		if n := letters[seq]; n > 1 || n == 0 && seq >= r.deadFrom {
			r.violate("dead-letters", "event %d must be refused and has %d dead letters", seq, n)
		}
	}
	for seq := range letters {
		if _, ok := r.ledger.poison[seq]; !ok {
			r.violate("dead-letters", "event %d has a dead letter, though nothing is wrong with it", seq)
		}
	}
}

// checkHealth checks that the announcements of each batch form a chain, and that the last one equals the present
// health.
func (r *run) checkHealth() {
	for k, chain := range r.ledger.health {
		ids := map[string]bool{}
		at, because := "ok", ""
		for i, c := range chain {
			switch {
			case ids[c.id]:
				r.violate("health", "%s: %s was announced twice", k, c.id)
			case c.ordinal != int64(i):
				r.violate("health", "%s: announcement %d has the ordinal %d", k, i, c.ordinal)
			case c.from != at:
				r.violate("health", "%s: announcement %d goes from %s, after one to %s", k, i, c.from, at)
			case c.causeFrom != because:
				r.violate("health", "%s: announcement %d goes from the cause %q, after one to %q", k, i, c.causeFrom, because)
			case c.causeOnly() && c.causeFrom == c.causeTo:
				r.violate("health", "%s: announcement %d changes nothing from %s", k, i, c.from)
			}
			ids[c.id], at, because = true, c.to, c.causeTo
		}
	}
	for _, p := range r.plans {
		r.checkAnnounced(p, r.ledger.health[p.key])
	}
}

func (r *run) checkAnnounced(p *plan, chain []change) {
	last := change{to: "ok"}
	for _, c := range chain {
		if !c.causeOnly() {
			last = c
		}
	}
	if !p.says(last.to) {
		r.violate("health", "%s (%s) was announced as %s last, and is %s", p.key, p.story, last.to, p.want.health)
		return
	}
	if p.skew != 0 {
		return
	}
	if p.moves() && r.prompt(p) {
		for _, c := range chain {
			if c.to == "stuck" {
				r.violate("alarms", "%s (%s) was announced as stuck at %v, and never stood still", p.key, p.story, c.stored)
			}
		}
	}
	if p.want.health == "ok" {
		return
	}
	due := p.want.due
	if due.IsZero() {
		r.journal.mu.Lock()
		if f := r.journal.facts[p.want.by]; f != nil {
			due = f.acked
		}
		r.journal.mu.Unlock()
	} else if sent := r.journal.lastAck(p.key); sent.After(due) {
		due = sent
	}
	by, touched := r.deadline(due, partition(p.key))
	if !touched {
		r.announced = append(r.announced, last.stored.Sub(due))
	}
	if last.stored.After(by) {
		r.violate("in-time", "%s (%s) became %s, and was announced %.1f s later (touched by a fault: %t)",
			p.key, p.story, p.want.health, last.stored.Sub(due).Seconds(), touched)
	}
}

// moves reports whether a batch makes progress all the time.
func (p *plan) moves() bool {
	return p.story != "stall" && p.story != "resume" && p.story != "unplaceable"
}

// prompt reports whether all events of a batch were acknowledged soon after they became true, so that Headway also saw
// progress all the time.
func (r *run) prompt(p *plan) bool {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	for i := range p.events {
		e := &p.events[i]
		f := r.journal.facts[e.id]
		if e.poison || e.delay > 2*time.Second {
			continue
		}
		if f == nil || f.acked.IsZero() || f.acked.Sub(p.begin.Add(e.at)) > 3*time.Second {
			return false
		}
	}
	return true
}

// checkLists pages through the lists of all namespaces.
func (r *run) checkLists(ctx context.Context) {
	want := map[string]map[string]*plan{}
	for _, p := range r.plans {
		if want[p.ns] == nil {
			want[p.ns] = map[string]*plan{}
		}
		want[p.ns][p.batch] = p
	}
	apis := r.of("api")
	err := within(ctx, r.within(announced), "lists", func() error {
		var errs []error
		for n, ns := range slices.Sorted(maps.Keys(want)) {
			errs = append(errs, r.checkList(ctx, apis[n%len(apis)], ns, want[ns]))
		}
		return errors.Join(errs...)
	})
	if err != nil && ctx.Err() == nil {
		r.violate("lists", "%v", err)
	}
}

func (r *run) checkList(ctx context.Context, api *program, ns string, want map[string]*plan) error {
	listed := map[string]bool{}
	for cursor := ""; ; {
		var page struct {
			Batches []struct {
				ID     string `json:"batch_id"`
				Status string `json:"status"`
				Health string `json:"health"`
			} `json:"batches"`
			Next       *string `json:"next_cursor"`
			Incomplete bool    `json:"incomplete"`
		}
		if err := getJSON(ctx, api.url+"/v1/batches?limit=200&namespace="+ns+cursor, &page); err != nil {
			return err
		}
		for _, b := range page.Batches {
			if listed[b.ID] {
				return fmt.Errorf("%s lists %s/%s twice", api.name, ns, b.ID)
			}
			listed[b.ID] = true
			if p := want[b.ID]; p != nil && (b.Status != p.want.status || !p.says(b.Health)) {
				return fmt.Errorf("%s lists %s (%s) as %s, %s: want %s, %s", api.name, p.key, p.story, b.Status, b.Health, p.want.status, p.want.health)
			}
		}
		if page.Incomplete {
			return fmt.Errorf("%s says at rest that the list of %s is incomplete", api.name, ns)
		}
		if page.Next == nil {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(*page.Next)
	}
	for id := range want {
		if !listed[id] {
			return fmt.Errorf("%s doesn't list %s/%s", api.name, ns, id)
		}
	}
	return nil
}

func getJSON(ctx context.Context, from string, to any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	res, err := quickClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", from, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(to)
}

// checkModel compares the answers about each batch with what its script expects.
func (r *run) checkModel(ctx context.Context) {
	for i, p := range r.plans {
		apis := r.of("api")
		api := apis[i%len(apis)]
		t, status, _, err := r.get(ctx, api, p.key, "")
		if err != nil || t == nil {
			r.violate("model", "%s answers %d for %s: %v", api.name, status, p.key, err)
			continue
		}
		if says := p.differs(t); says != "" {
			r.violate("model", "%s (%s): %s", p.key, p.story, says)
		}
	}
}

// differs describes how an answer deviates from the script. If the producer's clock is wrong, the time since which a
// batch stands still isn't compared: it is judged by that clock or by the log's, depending on how many events arrived.
func (p *plan) differs(t *told) string {
	w := &p.want
	switch {
	case t.Status != w.status:
		return fmt.Sprintf("status is %s, want %s", t.Status, w.status)
	case !p.says(t.Health):
		return fmt.Sprintf("health is %s, want %s", t.Health, w.health)
	case len(t.Tiers) != len(w.tiers):
		return fmt.Sprintf("%d tiers, want %d", len(t.Tiers), len(w.tiers))
	case t.Health == "stuck" && p.story == "stall" && p.skew == 0 && (t.Evidence.Since == nil || !t.Evidence.Since.Equal(w.mark)):
		return fmt.Sprintf("stuck since %v, want %v", t.Evidence.Since, w.mark)
	case t.Health == "stuck" && p.story == "stall" && p.skew == 0 && (t.Stuck == nil || abs(*t.Stuck-t.View.AsOf.Sub(w.mark).Seconds()) > 0.01):
		return fmt.Sprintf("stuck for %v s as of %v, since %v", t.Stuck, t.View.AsOf, w.mark)
	}
	for n := range w.tiers {
		got, want := &t.Tiers[n], &w.tiers[n]
		switch {
		case want.status != "" && got.Status != want.status:
			return fmt.Sprintf("tier %d is %s, want %s", n, got.Status, want.status)
		case got.Progress.Processed != want.processed || got.Progress.Total != want.total:
			return fmt.Sprintf("tier %d counts %d of %d, want %d of %d", n, got.Progress.Processed, got.Progress.Total, want.processed, want.total)
		case got.Failed != want.failed:
			return fmt.Sprintf("tier %d has %d failed documents, want %d", n, got.Failed, want.failed)
		case len(got.Jobs) != len(want.jobs):
			return fmt.Sprintf("tier %d has %d jobs, want %d", n, len(got.Jobs), len(want.jobs))
		}
		for _, j := range got.Jobs {
			if want.jobs[j.ID] != j.Status {
				return fmt.Sprintf("job %s is %s, want %s", j.ID, j.Status, want.jobs[j.ID])
			}
		}
	}
	return ""
}

func abs(f float64) float64 { return max(f, -f) }

// checkHeard checks that all announcements in the log are once in the stream for consumers, and were received from it.
func (r *run) checkHeard(ctx context.Context) {
	err := within(ctx, r.within(announced), "consumers hear everything", func() error {
		if err := r.ledger.catchUp(ctx); err != nil {
			return err
		}
		s, err := r.js.Stream(ctx, healthStream)
		if err != nil {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if n, least := int(s.CachedInfo().State.Msgs), r.ledger.announcedFrom(r.healthFrom); n < least || n > r.ledger.announce {
			return fmt.Errorf("%d announcements in the log, of which %d must be in %s, which has %d", r.ledger.announce, least, healthStream, n)
		}
		for k, chain := range r.ledger.health {
			for _, c := range chain {
				if r.heard[k.ns+"/"+c.id].IsZero() {
					return fmt.Errorf("nobody heard %s of %s", c.id, k)
				}
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		r.violate("heard", "%v", err)
	}
}

// checkFrames checks that the last frame of a client that stayed connected, or reconnected, equals the answer to GET.
func (r *run) checkFrames(ctx context.Context) {
	end := time.Now().Add(r.within(announced))
	for _, c := range r.clients.all() {
		err := within(ctx, max(time.Until(end), 0), "the newest frame", func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.ended || r.ledger.views[c.key] == nil {
				return nil // the client has left and a late event may have changed the batch since; or it belonged to a deleted log
			}
			t, status, _, err := r.get(ctx, r.of("api")[0], c.key, "")
			if err != nil || t == nil {
				return fmt.Errorf("GET answers %d: %w", status, errOr(err))
			}
			var frame told
			if err := json.Unmarshal(c.data, &frame); err != nil {
				return fmt.Errorf("the last frame: %w", err)
			}
			if frame.still() != t.still() {
				return fmt.Errorf("the last frame says\n%s, GET says\n%s", frame.still(), t.still())
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			r.violate("frames", "%s: %v", c.key, err)
		}
	}
}

// readRaw measures how long it takes to read the log without processing it.
func (r *run) readRaw(ctx context.Context) {
	s, err := r.js.Stream(ctx, eventsStream)
	if err != nil || s.CachedInfo().State.Msgs == 0 {
		return
	}
	began := time.Now()
	if err := readFrom(ctx, s, 1, s.CachedInfo().State.LastSeq, func(jetstream.Msg, *jetstream.MsgMetadata) {}); err == nil {
		r.mu.Lock()
		r.rawRead = time.Since(began)
		r.mu.Unlock()
	}
}
