package api

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// texts finds the rows whose text contains a part of it without looking at each: for every group of one, two or three bytes it
// has a bit for each row whose text contains the group. Several groups share their bits, and a bit stays when a text changes, so
// what is found has still to be compared. Rows are added and replaced under the index's lock, and found without any.
type texts struct {
	blocks atomic.Pointer[[]*textBlock]
	n      int   // slots that were ever used
	free   []int // those whose row was removed
}

const (
	blockRows = 64
	groupBits = 10
)

type textBlock struct {
	has  [1 << groupBits]atomic.Uint64 // by a hash of a group: a bit for each row
	rows [blockRows]atomic.Pointer[row]
}

func newTexts() *texts {
	t := &texts{}
	t.blocks.Store(&[]*textBlock{})
	return t
}

// put makes r findable, in the place of old. Its slot is part of r from then on.
func (t *texts) put(old, r *row) {
	if old != nil {
		r.slot = old.slot
	} else if last := len(t.free) - 1; last >= 0 {
		r.slot, t.free = t.free[last], t.free[:last]
	} else {
		r.slot = t.n
		t.n++
	}
	blocks := *t.blocks.Load()
	if r.slot/blockRows == len(blocks) {
		more := slices.Concat(blocks, []*textBlock{{}})
		t.blocks.Store(&more)
		blocks = more
	}
	b := blocks[r.slot/blockRows]
	if old == nil || old.text != r.text {
		bit := uint64(1) << (r.slot % blockRows)
		for end := range len(r.text) {
			for begin := end; begin >= 0 && begin > end-3; begin-- {
				if has := &b.has[group(r.text[begin:end+1])]; has.Load()&bit == 0 {
					has.Store(has.Load() | bit)
				}
			}
		}
	}
	b.rows[r.slot%blockRows].Store(r)
}

// remove makes r unfindable, and its slot free.
func (t *texts) remove(r *row) {
	(*t.blocks.Load())[r.slot/blockRows].rows[r.slot%blockRows].Store(nil)
	t.free = append(t.free, r.slot)
}

// group is the hash of one to three bytes.
func group(s string) uint32 {
	h := uint32(len(s))
	for i := range len(s) {
		h = h<<8 | uint32(s[i])
	}
	return h * 2654435769 >> (32 - groupBits)
}

// found are rows that may contain a text: a bit for each slot of each block.
type found struct {
	blocks []*textBlock
	bits   []uint64
	n      int
}

// find looks for a text that isn't empty.
func (t *texts) find(text string) found {
	var groups []uint32
	for size := min(3, len(text)); size > 0; size-- {
		for begin := range min(len(text)-size+1, 16) { // more would hardly distinguish better
			groups = append(groups, group(text[begin:begin+size]))
		}
	}
	f := found{blocks: *t.blocks.Load()}
	f.bits = make([]uint64, len(f.blocks))
	for i, b := range f.blocks {
		all := ^uint64(0)
		for _, g := range groups {
			if all &= b.has[g].Load(); all == 0 {
				break
			}
		}
		f.bits[i] = all
		f.n += bits.OnesCount64(all)
	}
	return f
}

// has reports whether a row was found. One that came later wasn't.
func (f *found) has(r *row) bool {
	return r.slot/blockRows < len(f.bits) && f.bits[r.slot/blockRows]>>(r.slot%blockRows)&1 != 0
}

// each calls do with each row that was found, in no order.
func (f *found) each(do func(*row)) {
	for i, set := range f.bits {
		for ; set != 0; set &= set - 1 {
			if r := f.blocks[i].rows[bits.TrailingZeros64(set)].Load(); r != nil {
				do(r)
			}
		}
	}
}
