package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Refusal is a message of the batch that was rejected.
type Refusal = event.Refusal

// Refused is what is known of the rejected messages. They are identified by their bytes, since a message that can't be
// parsed has no id.
type Refused struct {
	Hashes   []uint64 // the smallest, ascending
	More     bool     // there were others
	Last     RefusalMark
	Tiers    []*TierRefused // of messages whose subject names a tier, by its number
	TiersCut crdt.Cut[crdt.Number]
}

// RefusalMark is the rejection that was stored last.
type RefusalMark struct {
	Stored        int64
	Hash          uint64
	Field, Reason string
}

// TierRefused is the last rejection about one tier.
type TierRefused struct {
	Num  int32
	Last RefusalMark
}

// FoldRefused joins a rejected message into v. The rejection stays even if another copy is accepted later.
func FoldRefused(v *View, r Refusal) Outcome {
	if v.state.Erased != 0 {
		return Unchanged
	}
	s := &v.state.Refused
	changed := s.hash(r.Hash)
	mark := RefusalMark{r.Stored, r.Hash, r.Field, r.Reason}
	if s.Last.say(mark) {
		changed = true
	}
	if r.Tier >= 0 {
		if t, made := s.tier(r.Tier); t != nil && t.Last.say(mark) || made {
			changed = true
		}
	}
	return outcome(changed)
}

func (r *Refused) hash(h uint64) bool {
	i, found := slices.BinarySearch(r.Hashes, h)
	switch {
	case found:
		return false
	case i >= MaxRefusals:
		changed := !r.More
		r.More = true
		return changed
	}
	r.Hashes = slices.Insert(r.Hashes, i, h)
	if len(r.Hashes) > MaxRefusals {
		r.Hashes, r.More = r.Hashes[:MaxRefusals], true
	}
	return true
}

// tier is the last rejection about a tier, made if necessary; nil if the limit excludes it.
func (r *Refused) tier(n int32) (t *TierRefused, made bool) {
	t, made = crdt.Smallest(&r.Tiers, &r.TiersCut, MaxRefusedTiers, crdt.Number(n),
		func(t *TierRefused) crdt.Number { return crdt.Number(t.Num) }, func() *TierRefused { return &TierRefused{Num: n} })
	return t, made
}

func (m *RefusalMark) say(o RefusalMark) bool {
	if cmp.Or(cmp.Compare(o.Stored, m.Stored), cmp.Compare(o.Hash, m.Hash), strings.Compare(o.Field, m.Field),
		strings.Compare(o.Reason, m.Reason)) <= 0 {
		return false
	}
	*m = RefusalMark{o.Stored, o.Hash, strings.Clone(o.Field), strings.Clone(o.Reason)}
	return true
}

func (w *walker) refused(r, o *Refused) {
	walkSet(w, &r.Hashes, o.Hashes, r.hash, (*codec).u)
	w.or(&r.More, o.More)
	w.refusalMark(&r.Last, &o.Last)
	walkCut(w, &r.TiersCut, o.TiersCut, &r.Tiers, func(t *TierRefused) crdt.Number { return crdt.Number(t.Num) }, (*walker).number)
	walkList(w, &r.Tiers, o.Tiers, func(t *TierRefused) (*TierRefused, bool) { return r.tier(t.Num) }, func(w *walker, t, o *TierRefused) {
		w.key32(&t.Num)
		w.refusalMark(&t.Last, &o.Last)
	})
}

func (w *walker) refusalMark(m, o *RefusalMark) {
	if w.joining {
		m.say(*o)
		return
	}
	w.i(&m.Stored)
	w.u(&m.Hash)
	w.str(&m.Field)
	w.str(&m.Reason)
}
