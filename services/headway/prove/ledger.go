package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// ledger is the content of the log, and what the product's fold derives from it without any server.
type ledger struct {
	r        *run
	mu       sync.Mutex // while it reads
	last     uint64
	views    map[key]*diagnostics.View
	poison   map[uint64]struct{} // sequences that must have dead letters
	health   map[key][]change
	announce int
	decoder  diagnostics.Decoder
}

// change is one announcement in the log.
type change struct {
	id       string
	seq      uint64
	ordinal  int64
	from, to string
	stored   time.Time

	causeFrom, causeTo string
}

// causeOnly reports that the health is the one before.
func (c *change) causeOnly() bool { return c.from == c.to }

func newLedger(r *run) *ledger {
	return &ledger{r: r, views: map[key]*diagnostics.View{}, poison: map[uint64]struct{}{}, health: map[key][]change{}}
}

// catchUp reads the log to its present end.
func (l *ledger) catchUp(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.r.js.Stream(ctx, eventsStream)
	if err != nil {
		return err
	}
	end := s.CachedInfo().State.LastSeq
	if l.last >= end {
		return nil
	}
	return readFrom(ctx, s, l.last+1, end, func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		l.take(m, meta)
		l.last = meta.Sequence.Stream
	})
}

// follow reads the log all the time, so that it has each event before the log is cut.
func (l *ledger) follow(ctx context.Context) {
	for ctx.Err() == nil {
		_ = l.catchUp(ctx) // faults are why it fails; the checks read again
		pause(ctx, 200*time.Millisecond)
	}
}

// readFrom passes on the messages of a stream from one sequence to another.
func readFrom(ctx context.Context, s jetstream.Stream, from, to uint64, each func(jetstream.Msg, *jetstream.MsgMetadata)) error {
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from})
	if err != nil {
		return err
	}
	it, err := c.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		return err
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextMaxWait(20 * time.Second))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		each(m, meta)
		if meta.Sequence.Stream >= to {
			return nil
		}
	}
}

func (l *ledger) take(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	seq := meta.Sequence.Stream
	message := diagnostics.Message{Subject: m.Subject(), Data: m.Data(), Stored: meta.Timestamp}
	if h := m.Headers(); len(h) > 0 {
		message.Attribute = attribute(h)
	}
	e, rejection := l.decoder.Decode(message)
	ours := bytes.Contains(m.Data(), []byte(poisonMark))
	switch {
	case rejection != nil && !ours:
		l.r.violate("refusals", "a valid event is refused by the fold: %v: %.300s", rejection, m.Data())
	case rejection == nil && ours:
		l.r.violate("refusals", "what must be refused is not: %.300s", m.Data())
	}
	if ours {
		l.found(poisonID(m.Data()))
	}
	if rejection != nil {
		l.poison[seq] = struct{}{}
		if r, ok := diagnostics.NewRefusal(message, rejection); ok {
			if v := l.view(key{strings.Clone(r.Namespace), strings.Clone(r.Batch)}); diagnostics.FoldRefused(v, r) == diagnostics.Applied {
				v.Revision = seq
			}
		}
		return
	}
	k := key{strings.Clone(e.Namespace), strings.Clone(e.Batch)}
	if e.Source == source {
		l.found(e.ID)
	}
	v := l.view(k)
	if diagnostics.Fold(v, e) == diagnostics.Applied {
		v.Revision = seq
	}
	if e.Type == diagnostics.TypeHealth {
		v.HealthSeq = seq
		l.announced(k, seq, m.Data(), meta.Timestamp)
	}
}

func (l *ledger) view(k key) *diagnostics.View {
	v := l.views[k]
	if v == nil {
		v = diagnostics.NewView(k.ns, k.batch)
		l.views[k] = v
	}
	return v
}

func (l *ledger) announced(k key, seq uint64, data []byte, stored time.Time) {
	var c struct {
		ID   string `json:"id"`
		Data struct {
			Ordinal int64  `json:"ordinal"`
			From    string `json:"from"`
			To      string `json:"to"`

			CauseFrom string `json:"cause_from"`
			CauseTo   string `json:"cause_to"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		l.r.violate("health", "an announcement can't be read: %v: %.200s", err, data)
		return
	}
	l.announce++
	l.health[k] = append(l.health[k], change{c.ID, seq, c.Data.Ordinal, c.Data.From, c.Data.To, stored, c.Data.CauseFrom, c.Data.CauseTo})
}

// announcedFrom counts the announcements from a sequence on.
func (l *ledger) announcedFrom(seq uint64) (n int) {
	for _, chain := range l.health {
		for _, c := range chain {
			if c.seq >= seq {
				n++
			}
		}
	}
	return n
}

// found records that the log contains an event.
func (l *ledger) found(id string) {
	l.r.journal.mu.Lock()
	defer l.r.journal.mu.Unlock()
	if f := l.r.journal.facts[id]; f != nil {
		f.logged = true
	}
}

// poisonID extracts the id of an event that may not be valid JSON.
func poisonID(data []byte) string {
	_, rest, _ := strings.Cut(string(data), poisonMark)
	end := strings.IndexFunc(rest, func(c rune) bool { return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') })
	if end < 0 {
		end = len(rest)
	}
	return poisonMark + rest[:end]
}

// attribute finds a CloudEvents attribute of binary mode.
func attribute(h nats.Header) func(string) string {
	return func(name string) string {
		for k, v := range h {
			if strings.EqualFold(k, name) || strings.EqualFold(k, "ce-"+name) {
				return v[0]
			}
		}
		return ""
	}
}

const (
	eventsStream = "HEADWAY_EVENTS"
	healthStream = "HEADWAY_HEALTH"
	deadStream   = "HEADWAY_DLQ"

	historyStream = "HEADWAY_HISTORY"
)

// stored reads all views that Redis holds of the present identity, by the names of their keys.
func (r *run) stored(ctx context.Context) (map[key][]byte, error) {
	identity, err := r.identity(ctx)
	if err != nil {
		return nil, err
	}
	out := map[key][]byte{}
	return out, r.redis.each(ctx, func(c *redis.Client) error {
		for cursor := uint64(0); ; {
			keys, next, err := c.Scan(ctx, cursor, fmt.Sprintf("hw:*:%s-%d:v:*", identity, diagnostics.FoldVersion), 2000).Result()
			if err != nil {
				return err
			}
			values, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				for _, name := range keys {
					pipe.Get(ctx, name)
				}
				return nil
			})
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			for i, name := range keys {
				if text, err := values[i].(*redis.StringCmd).Bytes(); err == nil {
					ns, batch, _ := strings.Cut(name[strings.Index(name, ":v:")+3:], ":")
					whole, err := viewstore.Whole(ctx, c, name, text)
					if err != nil {
						return err
					}
					out[key{ns, batch}] = whole
				}
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
}

// identityOf returns the start of the identity of a log created at a given time. An incarnation number follows it.
func identityOf(created time.Time) string { return strconv.FormatInt(created.UnixNano(), 36) }

// identity of the present log, under which its partitions are owned.
func (r *run) identity(ctx context.Context) (string, error) {
	keys, err := r.redis.names(ctx, "hw:{p*}:*:fence")
	if err != nil {
		return "", err
	}
	s, err := r.js.Stream(ctx, eventsStream)
	if err != nil {
		return "", err
	}
	created := identityOf(s.CachedInfo().Created)
	newest := ""
	for _, k := range keys {
		_, rest, _ := strings.Cut(k, "}:")
		id, _, _ := strings.Cut(rest, "-")
		if strings.HasPrefix(id, created+"_") && (len(id) > len(newest) || len(id) == len(newest) && id > newest) {
			newest = id
		}
	}
	if newest == "" {
		return "", errors.New("no partition of the present log is owned")
	}
	return newest, nil
}

// compareViews compares each stored view with the offline fold, byte for byte, header included.
func (l *ledger) compareViews(ctx context.Context) error {
	stored, err := l.r.stored(ctx)
	if err != nil {
		return err
	}
	wrong, first := 0, ""
	for k, v := range l.views {
		if want := v.Append(nil); !bytes.Equal(stored[k], want) {
			if wrong++; wrong == 1 {
				first = fmt.Sprintf("%s of p%02d: want revision %d, %s; %s", k, partition(k), v.Revision, describe(stored[k]), difference(want, stored[k]))
			}
		}
	}
	more := 0
	for k := range stored {
		if l.views[k] == nil {
			if more++; more == 1 {
				first += fmt.Sprintf("; %s is stored and was never heard of", k)
			}
		}
	}
	if wrong+more > 0 {
		return fmt.Errorf("%d of %d views differ, %d too many; first %s", wrong, len(l.views), more, first)
	}
	return nil
}

// difference describes where two values differ.
func difference(want, is []byte) string {
	at := 0
	for at < min(len(want), len(is)) && want[at] == is[at] {
		at++
	}
	around := func(b []byte) []byte { return b[min(len(b), max(0, at-30)):min(len(b), at+50)] }
	return fmt.Sprintf("from byte %d of %d on: want %q, is %q", at, len(want), around(want), around(is))
}

func describe(value []byte) string {
	if value == nil {
		return "none is stored"
	}
	h, err := diagnostics.ParseHeader(value)
	if err != nil {
		return fmt.Sprintf("what is stored can't be read: %v", err)
	}
	return fmt.Sprintf("stored is %+v", h)
}

// reset discards everything, because the log is another one.
func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.announce = 0, 0
	clear(l.views)
	clear(l.poison)
	clear(l.health)
}
