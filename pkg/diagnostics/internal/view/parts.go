package view

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strings"
)

// The canonical state is a core followed by parts. The core has what was said of the batch itself. Each part has some of its tiers, jobs,
// collections or proofs, and refers to nothing outside of itself. So a part of a large view can be encoded, stored and read without the
// others. The core and all parts in the order of their keys, one after the other, are the state.
//
// Which element belongs to which part depends on the state alone. Sixteen tiers that follow one another share a part. The other kinds
// are spread over as many parts as their number needs, by a hash of their keys.

// partKey is the kind (1 byte) and the number (4 bytes) of a part. Parts are in its order.
type partKey uint64

// partKeySize is the length of a part's key in bytes.
const partKeySize = 5

// What a part has.
const (
	tierParts = 1 + iota
	jobParts
	collectionParts
	proofParts
	erasedPart // in place of all others
)

// perPart is how many elements a part has, about.
const perPart = 16

func partOf(kind uint8, number uint32) partKey { return partKey(kind)<<32 | partKey(number) }

// String is the key as partKeySize bytes, in the order of keys.
func (k partKey) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(k))
	return string(b[8-partKeySize:])
}

// spread is over how many parts n elements are spread: a power of two.
func spread(n int) uint32 {
	if n <= perPart {
		return 1
	}
	return 1 << bits.Len(uint(n-1)/perPart)
}

// hashOf is the hash by which an element is put into a part (FNV-1a).
func hashOf(id string) uint32 {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return h ^ h>>15
}

func hashOfJob(j *Job) uint32               { return hashOf(j.ID) }
func hashOfCollection(c *Collection) uint32 { return hashOf(c.ID) }
func hashOfProof(p *Proof) uint32           { return hashOf(p.ID) }

// partWriter writes the parts of a state.
type partWriter struct {
	*walker
	wanted func(partKey) bool             // nil: all
	wrote  func(k partKey, from, end int) // of the output; may be nil
}

func (w *partWriter) all(s *State) {
	for tiers := s.Tiers; len(tiers) > 0; {
		number, n := uint32(tiers[0].Num)/perPart, 1
		for n < len(tiers) && uint32(tiers[n].Num)/perPart == number {
			n++
		}
		writePart(w, partOf(tierParts, number), tiers[:n], (*walker).tier)
		tiers = tiers[n:]
	}
	writeSpread(w, jobParts, s.Jobs, hashOfJob, (*walker).job)
	writeSpread(w, collectionParts, s.Collections, hashOfCollection, (*walker).collection)
	writeSpread(w, proofParts, s.Proofs, hashOfProof, (*walker).proof)
	if s.Erased != 0 {
		writePart(w, partOf(erasedPart, 0), []*int64{&s.Erased}, walkErased)
	}
}

// writeSpread writes elements that are spread by a hash.
func writeSpread[T any](w *partWriter, kind uint8, all []*T, hash func(*T) uint32, each func(w *walker, e, o *T)) {
	n := spread(len(all))
	if n == 1 {
		if len(all) > 0 {
			writePart(w, partOf(kind, 0), all, each)
		}
		return
	}
	of := make([][]*T, n)
	for _, e := range all {
		if i := hash(e) & (n - 1); w.wanted == nil || w.wanted(partOf(kind, i)) {
			of[i] = append(of[i], e)
		}
	}
	for i, part := range of {
		if len(part) > 0 {
			writePart(w, partOf(kind, uint32(i)), part, each)
		}
	}
}

// writePart writes a part: its key, the length of the rest, and its elements.
func writePart[T any](w *partWriter, k partKey, elements []*T, each func(w *walker, e, o *T)) {
	if w.wanted != nil && !w.wanted(k) {
		return
	}
	from := len(w.out)
	w.forget()
	n := uint64(len(elements))
	w.u(&n)
	for _, e := range elements {
		each(w.walker, e, e)
	}
	var head [1 + 2*binary.MaxVarintLen32]byte
	head[0] = byte(k >> 32)
	h := 1 + binary.PutUvarint(head[1:], uint64(uint32(k)))
	h += binary.PutUvarint(head[h:], uint64(len(w.out)-from))
	w.out = slices.Insert(w.out, from, head[:h]...)
	if w.wrote != nil {
		w.wrote(k, from, len(w.out))
	}
}

// forget forgets which stamps and sources were written or read, so that what follows refers to nothing before it.
func (c *codec) forget() {
	clear(c.slots)
	c.stamps, c.sources, c.lastTime = c.stamps[:0], c.sources[:0], 0
}

// readParts reads parts up to the end of the input.
func (w *walker) readParts(s *State) {
	in, last := w.in, partKey(0)
	for w.pos < len(in) && !w.bad {
		k, end := w.partHead()
		if w.bad || k <= last {
			w.fail()
			return
		}
		last = k
		w.forget()
		w.in = in[:end]
		switch k >> 32 {
		case tierParts:
			s.Tiers = readPart(w, s.Tiers, (*walker).tier)
		case jobParts:
			s.Jobs = readPart(w, s.Jobs, (*walker).job)
		case collectionParts:
			s.Collections = readPart(w, s.Collections, (*walker).collection)
		case proofParts:
			s.Proofs = readPart(w, s.Proofs, (*walker).proof)
		case erasedPart:
			if at := readPart(w, nil, walkErased); len(at) > 0 {
				s.erase(*at[0])
			}
		default:
			w.fail()
		}
		if w.pos != end {
			w.fail()
		}
		w.in = in
	}
	slices.SortFunc(s.Jobs, func(a, b *Job) int { return a.Compare(b.JobKey) })
	slices.SortFunc(s.Collections, func(a, b *Collection) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Proofs, func(a, b *Proof) int { return a.Compare(b.ProofKey) })
	if !ascending(s.Tiers, func(a, b *Tier) bool { return 0 <= a.Num && a.Num < b.Num }) ||
		!ascending(s.Jobs, func(a, b *Job) bool { return a.Compare(b.JobKey) < 0 }) ||
		!ascending(s.Collections, func(a, b *Collection) bool { return a.ID < b.ID }) ||
		!ascending(s.Proofs, func(a, b *Proof) bool { return a.Compare(b.ProofKey) < 0 }) {
		w.fail()
	}
}

func ascending[T any](all []*T, less func(a, b *T) bool) bool {
	for i := 1; i < len(all); i++ {
		if !less(all[i-1], all[i]) {
			return false
		}
	}
	return true
}

// partHead reads the key of a part, and where it ends.
func (w *walker) partHead() (k partKey, end int) {
	var kind uint8
	var number, size uint64
	w.byte(&kind)
	w.u(&number)
	w.u(&size)
	if number > 1<<32-1 || size > uint64(len(w.in)-w.pos) {
		w.fail()
		return 0, 0
	}
	return partOf(kind, uint32(number)), w.pos + int(size)
}

func readPart[T any](w *walker, all []*T, each func(w *walker, e, o *T)) []*T {
	var n uint64
	w.u(&n)
	if n == 0 || n > uint64(len(w.in)-w.pos) {
		w.fail()
		return all
	}
	block := make([]T, n)
	for i := range block {
		each(w, &block[i], &block[i])
		all = append(all, &block[i])
	}
	return all
}

// tracked is which parts of a view differ from those that were stored last.
type tracked struct {
	all                      bool
	tiers                    map[uint32]struct{} // numbers of parts
	jobs, collections, proof map[uint32]struct{} // hashes
	sizes                    map[partKey]int     // of the parts as stored
	core                     int                 // size of the core as stored
	spread                   [proofParts + 1]uint32
}

// Track makes the view remember which of its parts change from now on, so that Encoder.Changes can write these alone. The next call
// writes all of them.
func (v *View) Track() { v.state.tracked = &tracked{all: true} }

// Tracked reports whether the view remembers which of its parts change.
func (v *View) Tracked() bool { return v.state.tracked != nil }

func (t *tracked) reset() {
	*t = tracked{
		tiers: map[uint32]struct{}{}, jobs: map[uint32]struct{}{}, collections: map[uint32]struct{}{}, proof: map[uint32]struct{}{},
		sizes: t.sizes, core: t.core, spread: t.spread,
	}
}

// The functions below are called whenever an element may change.

func (s *State) touchAll() {
	if s.tracked == nil {
		return
	}
	s.tracked.all = true
	for _, t := range s.Tiers {
		t.derived = nil
	}
}

func (s *State) touchTier(t *Tier) {
	t.derived = nil
	if of := s.tracked; of != nil && !of.all {
		of.tiers[uint32(t.Num)/perPart] = struct{}{}
	}
}

// Derived is what was kept of the tier with KeepDerived, nil if the tier may have changed since. It saves a view of thousands of tiers, of which
// one changed, from deriving all of them again.
func (t *Tier) Derived() any { return t.derived }

// KeepDerived keeps what follows from the tier alone until it changes. Only a tracked view's tiers keep anything.
func (s *State) KeepDerived(t *Tier, derived any) {
	if s.tracked != nil {
		t.derived = derived
	}
}

func (s *State) touch(set func(*tracked) map[uint32]struct{}, id string, cut bool) {
	t := s.tracked
	switch {
	case t == nil || t.all:
	case cut: // another one may have been dropped
		t.all = true
	default:
		set(t)[hashOf(id)] = struct{}{}
	}
}

func changedJobs(t *tracked) map[uint32]struct{}        { return t.jobs }
func changedCollections(t *tracked) map[uint32]struct{} { return t.collections }
func changedProofs(t *tracked) map[uint32]struct{}      { return t.proof }

// Part is a part of a view as it is stored.
type Part struct {
	Key   string // five bytes, in the order of parts
	Value []byte
}

// Changes are what has to be stored of a view whose parts are stored apart.
type Changes struct {
	Core   []byte // header and core, as stored
	Parts  []Part // those that changed; all of them if All is set
	All    bool
	Before int // how many parts were stored before
	Count  int // how many parts the view has
	Size   int // of the whole in bytes
}

// apart is in place of the encoding's version where the parts aren't stored with the core. The number of parts follows.
const apart = 0xff

// Changes encodes what has changed of a tracked view since the call before. The memory is the caller's.
func (e *Encoder) Changes(v *View) Changes {
	t := v.state.tracked
	e.reset(v.Header.Append(make([]byte, 0, t.core+t.core/8+4096)))
	e.w.out = append(e.w.out, apart, 0, 0, 0, 0)
	e.w.view(v, v)
	core := len(e.w.out)
	now := [...]uint32{jobParts: spread(len(v.state.Jobs)), collectionParts: spread(len(v.state.Collections)), proofParts: spread(len(v.state.Proofs))}
	if t.all = t.all || now != t.spread; t.all {
		t.sizes = map[partKey]int{}
	}
	out := Changes{All: t.all, Before: len(t.sizes)}
	var ends []int
	w := partWriter{walker: &e.w, wrote: func(k partKey, from, end int) {
		out.Parts = append(out.Parts, Part{Key: k.String()})
		ends = append(ends, end)
		t.sizes[k] = end - from
	}}
	if !t.all {
		w.wanted = t.wanted(now)
	}
	w.all(&v.state)
	all, begin := e.w.out, core
	e.w.out = nil
	for i, end := range ends {
		out.Parts[i].Value = all[begin:end:end]
		begin = end
	}
	out.Count, out.Size = len(t.sizes), core
	for _, n := range t.sizes {
		out.Size += n
	}
	binary.BigEndian.PutUint32(all[HeaderSize+1:], uint32(out.Count))
	out.Core = all[:core:core]
	t.spread, t.core = now, core
	t.reset()
	return out
}

// wanted are the parts that changed.
func (t *tracked) wanted(over [proofParts + 1]uint32) func(partKey) bool {
	want := map[partKey]struct{}{}
	for n := range t.tiers {
		want[partOf(tierParts, n)] = struct{}{}
	}
	for kind, hashes := range map[uint8]map[uint32]struct{}{jobParts: t.jobs, collectionParts: t.collections, proofParts: t.proof} {
		for h := range hashes {
			want[partOf(kind, h&(over[kind]-1))] = struct{}{}
		}
	}
	return func(k partKey) bool { _, ok := want[k]; return ok }
}

// errParts means that parts aren't those that their core counts.
var errParts = errors.New("diagnostics: parts are missing")

// Apart reports how many parts of a stored value are stored apart from it.
func Apart(stored []byte) (parts int, ok bool) {
	if len(stored) < HeaderSize+5 || stored[HeaderSize] != apart {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(stored[HeaderSize+1:])), true
}

// Whole puts a stored value whose parts are stored apart together with these. The result is what Append writes. It fails
// unless there are as many parts as the value counts.
func Whole(stored []byte, parts map[string]string) ([]byte, error) {
	n, ok := Apart(stored)
	if !ok || n != len(parts) {
		return nil, errParts
	}
	size := len(stored) - 4
	keys := make([]string, 0, len(parts))
	for k, v := range parts {
		keys = append(keys, k)
		size += len(v)
	}
	slices.Sort(keys)
	out := append(make([]byte, 0, size), stored[:HeaderSize]...)
	out = append(out, stateVersion)
	out = append(out, stored[HeaderSize+5:]...)
	for _, k := range keys {
		out = append(out, parts[k]...)
	}
	return out, nil
}
