package view

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// ProofKey identifies a proof: of each job the latest of each kind and process is kept.
type ProofKey struct {
	JobKey
	Kind, Process string
}

// Compare orders the keys of proofs.
func (k ProofKey) Compare(o ProofKey) int {
	return cmp.Or(k.JobKey.Compare(o.JobKey), strings.Compare(k.Kind, o.Kind), strings.Compare(k.Process, o.Process))
}

// Short shortens the key, without a change of order.
func (k ProofKey) Short() ProofKey {
	crdt.ShortenNames(&k.ID, &k.Cluster, &k.Run, &k.Kind, &k.Process)
	return k
}

// Proof is what a process of a job was seen to do. It is no report of the job's own: the job isn't heard by it.
type Proof struct {
	ProofKey
	Stamps int32
	Seen   crdt.Measured[Seen]
}

// Seen is one look at a process.
type Seen struct {
	Name, Text, Frame, Unavailable string
	FrameSince                     int64 // 0: not given
	Looks                          int64
}

func (s Seen) Canonical() string {
	b := event.AppendString(nil, s.Name)
	b = event.AppendString(append(b, ','), s.Text)
	b = event.AppendString(append(b, ','), s.Frame)
	b = event.AppendString(append(b, ','), s.Unavailable)
	b = strconv.AppendInt(append(b, ','), s.FrameSince, 10)
	return string(strconv.AppendInt(append(b, ','), s.Looks, 10))
}

// Length is how many bytes its texts have, and what else of it is written at most.
func (s Seen) Length() int {
	const others = 40
	return others + len(s.Name) + len(s.Text) + len(s.Frame) + len(s.Unavailable)
}

func (s *Seen) visit(c *codec) {
	c.str(&s.Name)
	c.str(&s.Text)
	c.str(&s.Frame)
	c.str(&s.Unavailable)
	c.i(&s.FrameSince)
	c.i(&s.Looks)
}

func (w *walker) proofKey(k *ProofKey) {
	w.jobKey(&k.JobKey)
	w.key(&k.Kind)
	w.key(&k.Process)
}

func (w *walker) proof(p, o *Proof) {
	w.proofKey(&p.ProofKey)
	w.length(&p.Stamps, o.Stamps)
	measured(w, &p.Seen, &o.Seen)
}

func (s *State) proof(k ProofKey) (*Proof, bool) {
	p, changed := crdt.Smallest(&s.Proofs, &s.ProofsCut, MaxProofs, k, proofKey, func() *Proof {
		return &Proof{ProofKey: ProofKey{
			JobKey{strings.Clone(k.ID), strings.Clone(k.Cluster), strings.Clone(k.Run)}, strings.Clone(k.Kind), strings.Clone(k.Process),
		}}
	})
	s.touch(changedProofs, k.ID, changed && s.ProofsCut.Set)
	return p, changed
}

func (f *folder) proof(p *event.ProofFacts) {
	key := ProofKey{JobKey{event.DecodeID(p.SubmissionID), p.Cluster.V, p.Run.V}, p.Kind, p.Process}
	cut := f.s.ProofsCut.Set
	s, made := f.s.proof(key)
	if !cut && f.s.ProofsCut.Set {
		f.overflow()
	}
	if s == nil {
		f.did(made)
		return
	}
	f.entry(&s.Stamps, made)
	if made {
		f.grown += len(key.ID) + len(key.Cluster) + len(key.Run) + len(key.Kind) + len(key.Process)
	}
	f.stamped(s.Seen.Set)
	seen := Seen{p.Name.V, p.Text.V, p.Frame.V, p.Unavailable.V, p.FrameSince.V, p.Looks.V}
	if by := s.Seen.Hear(seen); by > 0 {
		f.grown += by
		f.changed = true
	}
	if s.Seen.Wants(f.at, seen) {
		for _, text := range []*string{&seen.Name, &seen.Text, &seen.Frame, &seen.Unavailable} {
			*text = strings.Clone(*text)
		}
		f.did(s.Seen.Put(f.at, seen))
	}
}

// ProofsOf are the proofs of a job, the latest of each kind and process. One whose cluster or run isn't named belongs to every job of
// its id.
func (s *State) ProofsOf(j *Job) (out []*Proof) {
	for _, p := range s.Proofs {
		if p.ID != j.ID || !alike(p.Cluster, j.Cluster) || !alike(p.Run, j.Run) {
			continue
		}
		i := slices.IndexFunc(out, func(o *Proof) bool { return o.Kind == p.Kind && o.Process == p.Process })
		switch {
		case i < 0:
			out = append(out, p)
		case p.Seen.At.Time > out[i].Seen.At.Time:
			out[i] = p
		}
	}
	return out
}

// alike reports that two names don't exclude each other, since one isn't known.
func alike(a, b string) bool { return a == "" || b == "" || a == b }
