package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// The accessors below return what has the key, made if need be; nil where the bound excludes it.

func (s *State) attempt(n int32) (*BatchAttempt, bool) {
	return crdt.Highest(&s.Attempts, MaxAttempts, func(a *BatchAttempt) int { return cmp.Compare(a.Num, n) },
		func() *BatchAttempt { return &BatchAttempt{Num: n} })
}

func (s *State) tier(n int32) (*Tier, bool) {
	if k := int(n); k < len(s.Tiers) && s.Tiers[k].Num == n { // dense, as nearly always
		return s.Tiers[k], false
	}
	return crdt.Smallest(&s.Tiers, 0, nil, func(t *Tier) int { return cmp.Compare(t.Num, n) }, func() *Tier { return &Tier{Num: n} })
}

func (t *Tier) attempt(n int32) (*TierAttempt, bool) {
	return crdt.Highest(&t.Attempts, MaxAttempts, func(a *TierAttempt) int { return cmp.Compare(a.Num, n) },
		func() *TierAttempt { return &TierAttempt{Num: n} })
}

func (s *State) job(k JobKey) (*Job, bool) {
	return crdt.Smallest(&s.Jobs, MaxJobs, &s.JobsTruncated, func(j *Job) int { return j.compare(k) },
		func() *Job {
			return &Job{JobKey: JobKey{strings.Clone(k.ID), strings.Clone(k.Cluster), strings.Clone(k.Run)}}
		})
}

func (s *State) collection(id string) (*Collection, bool) {
	return crdt.Smallest(&s.Collections, MaxCollections, &s.CollectionsTruncated,
		func(c *Collection) int { return strings.Compare(c.ID, id) },
		func() *Collection { return &Collection{ID: strings.Clone(id)} })
}

func (s *State) announcement(ordinal int64) (*Announcement, bool) {
	return crdt.Highest(&s.Announcements, MaxAnnouncements, func(a *Announcement) int { return cmp.Compare(a.Ordinal, ordinal) },
		func() *Announcement { return &Announcement{Ordinal: ordinal} })
}

func (a *TierAttempt) errorAt(k ErrorKey) (*ErrorState, bool) {
	return crdt.Smallest(&a.Errors, MaxErrors, &a.ErrorsTruncated, func(e *ErrorState) int { return e.Key.compare(k) },
		func() *ErrorState {
			return &ErrorState{Key: ErrorKey{strings.Clone(k.ErrType), strings.Clone(k.Component),
				strings.Clone(k.Stage), strings.Clone(k.Message)}}
		})
}

func (a *TierAttempt) stageAt(k StageKey) (*StageState, bool) {
	return crdt.Smallest(&a.Stages, MaxStages, &a.StagesTruncated, func(s *StageState) int { return s.Key.compare(k) },
		func() *StageState {
			return &StageState{Key: StageKey{strings.Clone(k.Stage), strings.Clone(k.Component), strings.Clone(k.Worker)}}
		})
}

// document keeps the smallest ids of the documents that an error affected.
func (e *ErrorState) document(id string) bool {
	i, found := slices.BinarySearch(e.Docs, id)
	if found || i >= MaxErrorDocs {
		return false
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

// Lives are the jobs, words that name neither cluster nor run joined to the only life of their submission id.
func (s *State) Lives() []*Job {
	out := s.Jobs
	for i := 0; i < len(out); {
		n := 1
		for i+n < len(out) && out[i+n].ID == out[i].ID {
			n++
		}
		if n == 2 && out[i].Cluster == "" && out[i].Run == "" {
			life := &Job{JobKey: out[i+1].JobKey}
			w := walker{joining: true}
			w.job(life, out[i])
			w.job(life, out[i+1])
			if len(out) == len(s.Jobs) {
				out = slices.Clone(out)
			}
			out = slices.Replace(out, i, i+2, life)
			n = 1
		}
		i += n
	}
	return out
}
