package crdt

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

type entry struct{ name Name }

func nameOf(e *entry) Name { return e.name }

// Which keys a bounded set keeps, and where it is cut off, doesn't depend on the order in which they arrive.
func TestSmallestKeepsTheSmallest(t *testing.T) {
	const limit = 5
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		names := make([]Name, r.IntN(20))
		for i := range names {
			names[i] = Name(strings.Repeat(string(rune('a'+r.IntN(9))), 1+r.IntN(2)*(ShortName+r.IntN(3))))
		}
		said := func() string {
			var s []*entry
			var cut Cut[Name]
			for _, i := range r.Perm(len(names)) {
				e, _ := Smallest(&s, &cut, limit, names[i], nameOf, func() *entry { return &entry{names[i]} })
				if (e == nil) != cut.Excludes(names[i]) {
					t.Fatalf("%.9q is excluded: %v, and found: %v", names[i], cut.Excludes(names[i]), e)
				}
			}
			out := fmt.Sprint(cut)
			for _, e := range s {
				out += fmt.Sprint(" ", e.name)
			}
			return out
		}
		if a, b := said(), said(); a != b {
			t.Fatalf("seed %d: %s\nand in another order: %s", seed, a, b)
		}
	}
}

func TestHighestKeepsTheHighest(t *testing.T) {
	type number struct{ n int64 }
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		said := func(order []int) string {
			var s []*number
			floor := int64(0)
			for _, n := range order {
				Highest(&s, &floor, 3, int64(n+1), func(e *number) int64 { return e.n }, func() *number { return &number{int64(n + 1)} })
			}
			out := fmt.Sprint(floor)
			for _, e := range s {
				out += fmt.Sprint(" ", e.n)
			}
			return out
		}
		order := r.Perm(r.IntN(12))
		a := said(order)
		r.Shuffle(len(order), func(i, k int) { order[i], order[k] = order[k], order[i] })
		if b := said(append(order, order...)); a != b {
			t.Fatalf("seed %d: %s and %s", seed, a, b)
		}
	}
}

// A shortened key is never greater than the original, and shortening keeps the order.
func TestShortNamesKeepTheOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	text := func() string { return strings.Repeat("a", ShortName-1+r.IntN(3)) + strings.Repeat("b", r.IntN(2)) }
	for range 2_000 {
		a, b := [2]string{text(), text()}, [2]string{text(), text()}
		before := strings.Compare(a[0], b[0])
		if before == 0 {
			before = strings.Compare(a[1], b[1])
		}
		long := a
		ShortenNames(&a[0], &a[1])
		ShortenNames(&b[0], &b[1])
		if a[0] > long[0] || a[0] == long[0] && a[1] > long[1] {
			t.Fatalf("%q became greater", long)
		}
		after := strings.Compare(a[0], b[0])
		if after == 0 {
			after = strings.Compare(a[1], b[1])
		}
		if before*after < 0 {
			t.Fatal("the order is another")
		}
	}
}

// Joining values of any kind gives the same result in any order and with any repetition.
func TestValuesJoin(t *testing.T) {
	type all struct {
		r Register[num]
		m Measured[word]
		e Earliest
		c Counter
		s Series
	}
	say := func(v *all, i int) {
		at := Stamp{Time: int64(1 + i%5), Source: fmt.Sprint(i % 3), ID: fmt.Sprint(i % 2)}
		v.r.Put(at, num(i))
		w := word(strings.Repeat("x", i%29))
		v.m.Hear(w)
		v.m.Put(at, w)
		v.e.Put(int64(1+i%4), at)
		v.c.Say(int64(i%6), at)
		v.s.Add(int64(i%40)*3e9, int64(i), 4)
	}
	join := func(v, o *all) {
		v.r.Join(o.r)
		v.m.Join(o.m)
		v.e.Join(o.e)
		v.c.Join(o.c)
		v.s.Join(o.s, 4)
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 4))
		var whole, again, left, right all
		for _, i := range r.Perm(60) { // from 30 on the same stamps again, with other values
			say(&whole, i)
		}
		for _, i := range r.Perm(60) {
			say(&again, i)
			if r.IntN(2) == 0 {
				say(&left, i)
			} else {
				say(&right, i)
				say(&right, i)
			}
		}
		want := fmt.Sprint(whole)
		if got := fmt.Sprint(again); got != want {
			t.Fatalf("seed %d: %s\nand in another order: %s", seed, want, got)
		}
		before := left
		before.s.Points = slices.Clone(left.s.Points)
		join(&left, &right)
		join(&right, &before)
		for _, v := range []all{left, right} {
			if got := fmt.Sprint(v); got != want {
				t.Fatalf("seed %d: %s\nand joined: %s", seed, want, got)
			}
			join(&v, &whole)
			if got := fmt.Sprint(v); got != want {
				t.Fatalf("seed %d: %s\nand joined with what is known: %s", seed, want, got)
			}
		}
	}
}

// With equal stamps the greater canonical value wins; with equal values the smaller stamp wins. The order of arrival doesn't
// matter.
func TestTies(t *testing.T) {
	at := Stamp{Time: 5, Source: "b", ID: "b"}
	for _, say := range [][2]num{{1, 2}, {2, 1}} {
		var r Register[num]
		r.Put(at, say[0])
		if r.Put(at, say[1]); r.V != 2 {
			t.Errorf("of %v the register holds %d", say, r.V)
		}
	}
	for _, lower := range []Stamp{{Time: 4, Source: "c", ID: "c"}, {Time: 5, Source: "a", ID: "c"}, {Time: 5, Source: "b", ID: "a"}} {
		for _, say := range [][2]Stamp{{lower, at}, {at, lower}} {
			var r Register[num]
			var e Earliest
			var c Counter
			for _, s := range say {
				v := num(2)
				if s == at {
					v = 1
				}
				r.Put(s, v)
				e.Put(7, s)
				c.Say(7, s)
			}
			if r.At != at || r.V != 1 || e.At != lower || c.At != lower {
				t.Errorf("of %v: the register is %v, the earliest %v, the counter %v", say, r, e, c)
			}
		}
	}
}

type num int

func (n num) Canonical() string { return fmt.Sprint(int(n)) }

type word string

func (w word) Canonical() string { return string(w) }
func (w word) Length() int       { return len(w) }
