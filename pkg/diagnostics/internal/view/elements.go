package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// The accessors below return what has the key, made if need be, and whether anything was made or cut; nil where a bound excludes it.

func (s *State) attempt(n int32) (*BatchAttempt, bool) {
	return crdt.Highest(&s.Attempts, &s.AttemptsFloor, MaxAttempts, int64(n), batchAttemptNumber,
		func() *BatchAttempt { return &BatchAttempt{Num: n} })
}

func (s *State) tier(n int32) (*Tier, bool) {
	if k := int(n); k < len(s.Tiers) && s.Tiers[k].Num == n { // dense, as nearly always
		s.touchTier(s.Tiers[k])
		return s.Tiers[k], false
	}
	t, changed := crdt.Smallest(&s.Tiers, &s.TiersCut, 0, crdt.Number(n), tierNumber, func() *Tier { return &Tier{Num: n} })
	if t != nil {
		s.touchTier(t)
	}
	return t, changed
}

func (t *Tier) attempt(n int32) (*TierAttempt, bool) {
	a, changed := crdt.Highest(&t.Attempts, &t.AttemptsFloor, MaxAttempts, int64(n), attemptNumber,
		func() *TierAttempt { return &TierAttempt{Num: n} })
	if changed {
		t.floored()
	}
	return a, changed
}

func (s *State) job(k JobKey) (*Job, bool) {
	j, changed := crdt.Smallest(&s.Jobs, &s.JobsCut, MaxJobs, k, jobKey, func() *Job {
		return &Job{JobKey: JobKey{strings.Clone(k.ID), strings.Clone(k.Cluster), strings.Clone(k.Run)}}
	})
	s.touch(changedJobs, k.ID, changed && s.JobsCut.Set)
	return j, changed
}

func (s *State) collection(id string) (*Collection, bool) {
	c, changed := crdt.Smallest(&s.Collections, &s.CollectionsCut, MaxCollections, crdt.Name(id), collectionID,
		func() *Collection { return &Collection{ID: strings.Clone(id)} })
	s.touch(changedCollections, id, changed && s.CollectionsCut.Set)
	return c, changed
}

func (s *State) announcement(n int64) (*Announcement, bool) {
	return crdt.Highest(&s.Announcements, &s.AnnouncementsFloor, MaxAnnouncements, n, ordinal,
		func() *Announcement { return &Announcement{Ordinal: n} })
}

func (t *Tier) errorAt(a *TierAttempt, k ErrorKey) (*ErrorState, bool) {
	return place(t, a, &t.ErrorsCut, MaxErrors, k, errorList, errorKey, func() *ErrorState {
		return &ErrorState{Key: ErrorKey{strings.Clone(k.ErrType), strings.Clone(k.Component),
			strings.Clone(k.Stage), strings.Clone(k.Message)}}
	})
}

func (t *Tier) stageAt(a *TierAttempt, k StageKey) (*StageState, bool) {
	return place(t, a, &t.StagesCut, MaxStages, k, stageList, stageKey, func() *StageState {
		return &StageState{Key: StageKey{strings.Clone(k.Stage), strings.Clone(k.Component), strings.Clone(k.Worker)}}
	})
}

// document keeps the smallest ids of the documents that an error affected, and the length of the longest of all.
func (e *ErrorState) document(id string) (changed bool) {
	if n := int32(len(id)); n > e.DocsMost {
		e.DocsMost, changed = n, true
	}
	i, found := slices.BinarySearch(e.Docs, id)
	if found || i >= MaxErrorDocs {
		return changed
	}
	e.Docs = slices.Insert(e.Docs, i, strings.Clone(id))
	e.Docs = e.Docs[:min(len(e.Docs), MaxErrorDocs)]
	return true
}

// least keeps the smallest positive count.
func (s *StageState) least(n int64) bool {
	if n <= 0 || s.Least != 0 && n >= s.Least {
		return false
	}
	s.Least = n
	return true
}

func (s *StageState) bucket(b event.Bucket) bool {
	i, found := slices.BinarySearchFunc(s.Buckets, b.UpperMS, func(e event.Bucket, k float64) int { return cmp.Compare(e.UpperMS, k) })
	if found {
		if b.Count <= s.Buckets[i].Count {
			return false
		}
		s.Buckets[i].Count = b.Count
		return true
	}
	if i >= MaxBuckets {
		return false
	}
	s.Buckets = slices.Insert(s.Buckets, i, b)
	s.Buckets = s.Buckets[:min(len(s.Buckets), MaxBuckets)]
	return true
}
