package ingest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// An entry that is due already is found under the fence with which its view was committed. Otherwise the next event of a busy
// batch would move the entry beyond the fence again, and the change would be announced only when the batch pauses.
func TestDueWithItsCommit(t *testing.T) {
	s := newStand(t)
	s.start(nil)
	s.eventually("complete", func() error { return s.whole(nil) })
	p := s.log.Partition("n", "busy")
	for n := range 20 {
		seq := s.say("busy", "tier.0", diagnostics.TypeTierV1, fmt.Sprintf(`{"tier_num":0,"status":"PROCESSING","processed_documents":%d,"failed_documents":1}`, n+10))
		s.eventually("the commit of an event", func() error {
			before, err := s.store.Fences(t.Context())
			if err != nil {
				return err
			}
			due, err := s.store.Due(t.Context(), 10)
			if err != nil {
				return err
			}
			after, err := s.store.Fences(t.Context())
			if err != nil {
				return err
			}
			if before[p] == nil || after[p] == nil || *before[p] != *after[p] || before[p].Cursor < seq {
				return errors.New("not the fence of one commit")
			}
			if !slices.ContainsFunc(due, func(d viewstore.DuePartition) bool { return d.Partition == p }) {
				t.Fatalf("after event %d nothing is due as of %v", seq, before[p].AsOf())
			}
			return nil
		})
	}
}
