package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Run follows the stored keys until ctx ends. While one Run does, others wait: two would replace each other's keys, and end streams.
func (k *Keys) Run(ctx context.Context) error {
	select {
	case k.following <- struct{}{}:
		defer func() { <-k.following }()
	case <-ctx.Done():
		return nil
	}
	go k.expire(ctx)
	k.tokens.run(ctx)
	for {
		err := k.follow(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was stopped
		}
		k.log.Warn("following keys failed", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(checkEvery):
		}
	}
}

var errBehind = errors.New("the watch of keys has fallen behind, or the bucket was created anew")

// follow watches the bucket, and compares what it has seen with the end of the bucket once a second: a watch that was lost, or a
// bucket that was created anew, is noticed within seconds.
func (k *Keys) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kv, err := k.bucket(ctx)
	if err != nil {
		return err
	}
	before, err := streamInfo(ctx, kv)
	if err != nil {
		return fmt.Errorf("access: bucket %s: %w", bucketName, err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("access: watch: %w", err)
	}
	defer func() { _ = w.Stop() }()
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	f := follower{keys: k, kv: kv, next: map[string]*held{}, sessions: map[string]bool{}, created: before.Created, last: before.State.LastSeq}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, more := <-w.Updates():
			if !more {
				return errBehind
			}
			if f.saw(entry); entry != nil {
				continue
			}
			if err := f.check(ctx); err != nil {
				return err
			}
		case <-tick.C:
			if err := f.check(ctx); err != nil {
				return err
			}
		}
	}
}

// follower is one watch of the bucket.
type follower struct {
	keys     *Keys
	kv       jetstream.KeyValue
	next     map[string]*held
	sessions map[string]bool // seen in this watch, until all that was stored has been seen
	signed   bool            // the secret of public tokens has been seen
	began    bool            // all that was stored has been seen
	seen     uint64
	behind   int
	mark     uint64    // an end of the bucket that has to be seen
	marked   time.Time // when it was the end
	created  time.Time
	last     uint64 // of the bucket when the watch began; the entry may be gone
}

// saw handles an entry; nil: all that was stored before has been seen.
func (f *follower) saw(entry jetstream.KeyValueEntry) {
	if entry == nil {
		f.began, f.seen = true, max(f.seen, f.last)
		f.keys.sessions.only(f.sessions)
		if !f.signed {
			f.keys.secret.Store(nil) // the bucket was created anew
		}
		f.sessions = nil
		f.keys.publish(f.next)
		f.keys.once.Do(func() { close(f.keys.ready) })
		return
	}
	f.seen = entry.Revision()
	if id, is := strings.CutPrefix(entry.Key(), usedUnder); is {
		if h := f.next[id]; h != nil {
			h.noteUsed(entry.Value())
		}
		return
	}
	if entry.Key() == signedWith {
		value := entry.Value()
		if f.signed = entry.Operation() == jetstream.KeyValuePut; f.signed {
			f.keys.secret.Store(&value)
		} else {
			f.keys.secret.Store(nil)
		}
		return
	}
	if id, is := strings.CutPrefix(entry.Key(), sessionsUnder); is {
		if there := f.keys.sessions.saw(id, entry); there && !f.began {
			f.sessions[id] = true
		}
		return
	}
	id, is := strings.CutPrefix(entry.Key(), keysUnder)
	if !is {
		return
	}
	before := f.next[id]
	delete(f.next, id)
	if entry.Operation() == jetstream.KeyValuePut {
		if h := newHeld(id, entry, (*f.keys.held.Load())[id]); h != nil {
			f.next[id] = h
		} else {
			f.keys.log.Error("stored key can't be read, so it is refused", "id", id)
		}
	}
	if f.began {
		f.keys.publish(f.next)
	} else if before != nil {
		before.end(errRevoked)
	}
}

// check compares what was seen with the bucket.
func (f *follower) check(ctx context.Context) error {
	now := time.Now()
	limited, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	info, err := streamInfo(limited, f.kv)
	if err != nil {
		if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			return errBehind
		}
		return nil //nolint:nilerr // NATS can't be reached: known keys go on for a while
	}
	if !info.Created.Equal(f.created) || info.State.LastSeq < f.seen || !f.progress(info.State.LastSeq, now) {
		return errBehind
	}
	if f.mark != 0 {
		return nil
	}
	f.keys.noteUses(limited, f.kv)
	f.keys.noteSessions(limited)
	return nil
}

// progress records up to which moment the bucket was seen. While it changes all the time, what was its end at one check has to be seen
// within the next three.
func (f *follower) progress(end uint64, now time.Time) bool {
	if f.began && f.mark != 0 && f.seen >= f.mark {
		f.keys.fresh.Store(f.marked.UnixNano())
		f.mark, f.behind = 0, 0
	}
	switch {
	case f.began && f.seen >= end:
		f.keys.fresh.Store(now.UnixNano())
		f.mark, f.behind = 0, 0
		return true
	case f.mark == 0:
		f.mark, f.marked = end, now
	}
	f.behind++
	return f.behind <= 4
}

var errNoStream = errors.New("access: a bucket without stream")

func streamInfo(ctx context.Context, kv jetstream.KeyValue) (*jetstream.StreamInfo, error) {
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, err
	}
	b, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return nil, errNoStream
	}
	return b.StreamInfo(), nil
}
