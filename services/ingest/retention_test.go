package ingest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Rule 6: where events were lost before they were folded, every view that may lack some of them is marked incomplete: an existing
// one with or without further events, one that begins before the partition has caught up, and one that is rebuilt. A batch that
// begins afterwards isn't marked.
func TestRule6LostEventsAreTold(t *testing.T) {
	s := newStand(t)
	stop := s.start(nil)
	s.fill(8)
	s.eventually("whole", func() error { return s.whole(s.offline()) })
	stop()

	s.job("b0", "lost", 1)
	kept := s.job("b0", "kept", 2)
	s.job("begun", "j", 1)
	s.say("refused", "tier.1", diagnostics.TypeTierV1, `{"tier_num":1,"status":"NONSENSE"}`)
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), eventlog.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(kept)); err != nil {
		t.Fatal(err)
	}

	stop = s.start(nil)
	all := []string{"begun", "refused"}
	for i := range 8 {
		all = append(all, fmt.Sprint("b", i))
	}
	told := func(batch string, want bool) error {
		k := viewstore.Key{Namespace: "n", Batch: batch}
		_, got, err := s.store.Load(t.Context(), s.log.Partition(k.Namespace, k.Batch), nil, []viewstore.Key{k})
		if err != nil {
			return err
		}
		h, err := diagnostics.ParseHeader(got[0].Bytes)
		if err == nil && h.Incomplete != want {
			err = fmt.Errorf("%s: incomplete is %v, want %v", batch, h.Incomplete, want)
		}
		return err
	}
	s.eventually("all views say that events were lost", func() error {
		err := s.service.Ready()
		for _, batch := range all {
			err = errors.Join(err, told(batch, true))
		}
		return err
	})
	s.job("after", "j", 1)
	s.eventually("a later batch lacks nothing", func() error { return told("after", false) })

	// Of a batch that began after the loss was noted it is known that nothing is missing.
	stop()
	for _, batch := range []string{"b0", "after"} {
		if n := s.rdb.Del(t.Context(), s.key(s.log.Partition("n", batch), "v:n:"+batch)).Val(); n != 1 {
			t.Fatal("there was no view")
		}
	}
	s.start(nil)
	s.eventually("rebuilt, views say so", func() error { return errors.Join(told("b0", true), told("after", false)) })
}
