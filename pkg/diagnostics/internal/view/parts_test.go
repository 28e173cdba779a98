package view

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// kept is a store of views whose parts are stored apart.
type kept struct {
	encoder Encoder
	core    []byte
	parts   map[string]string
	written int // bytes
}

func (k *kept) write(v *View) Changes {
	c := k.encoder.Changes(v)
	if c.All {
		k.parts = map[string]string{}
	}
	k.core = bytes.Clone(c.Core)
	k.written = len(c.Core)
	for _, p := range c.Parts {
		k.parts[p.Key] = string(p.Value)
		k.written += len(p.Value)
	}
	return c
}

func (k *kept) whole(t *testing.T) []byte {
	t.Helper()
	whole, err := Whole(k.core, k.parts)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// many is an event about one of many tiers, jobs, collections or proofs.
func (r some) many() *event.Event {
	e := r.event()
	n := 1 + r.IntN(1+r.IntN(400))
	e.TierFacts.TierNum, e.StageFacts.TierNum = int32(n), int32(n)
	e.JobFacts.SubmissionID, e.ProofFacts.SubmissionID = fmt.Sprint("job", n), fmt.Sprint("job", n)
	e.CollectionFacts.ID = fmt.Sprint("col", n)
	return e
}

// Written part by part, only as far as they changed, the parts are together what is written at once: whatever the bounds, and however
// many elements there are.
func TestPartsAreTheWhole(t *testing.T) {
	for _, bounded := range []bool{false, true} {
		t.Run(fmt.Sprint("bounded=", bounded), func(t *testing.T) {
			if bounded {
				small(t)
			}
			most := 0
			for seed := range uint64(12) {
				r := some{rand.New(rand.NewPCG(seed, 7))}
				v, k := NewView("n", "b"), kept{}
				v.Track()
				for i := range 600 {
					Fold(v, r.many())
					switch r.IntN(60) {
					case 0:
						Join(v, NewView("n", "b"))
					case 1:
						FoldRefused(v, Refusal{Hash: uint64(i)})
					}
					if r.IntN(8) > 0 {
						continue
					}
					v.Revision++
					c := k.write(v)
					most = max(most, c.Count)
					if got, want := k.whole(t), v.Append(nil); !bytes.Equal(got, want) {
						t.Fatalf("seed %d, after %d events: the parts are another view", seed, i+1)
					} else if c.Size-4 != len(want) {
						t.Fatalf("seed %d: the size is %d, was said to be %d", seed, len(want), c.Size-4)
					}
				}
				if _, err := Parse(k.whole(t)); err != nil {
					t.Fatal(err)
				}
			}
			if !bounded && most < 40 {
				t.Errorf("there were only %d parts", most)
			}
		})
	}
}

// A change of one tier writes the core and that tier's part.
func TestPartsFollowWhatChanged(t *testing.T) {
	r := some{rand.New(rand.NewPCG(1, 2))}
	v, k := NewView("n", "b"), kept{}
	progress := func(tier int32, at int64) {
		e := r.event()
		e.Type, e.Time, e.Stored, e.Source, e.ID = event.TypeTier, at, at, "s", "e"
		e.TierFacts = event.TierFacts{TierNum: tier, Attempt: 1, Processed: event.Opt[int64]{V: at % 1e6, Set: true}}
		Fold(v, e)
	}
	for n := range int32(2000) {
		progress(n, base+int64(n)*1e9)
	}
	v.Track()
	if c := k.write(v); !c.All || c.Count != 2000/perPart {
		t.Fatalf("all = %v of %d parts", c.All, c.Count)
	}
	progress(1234, base+1e13)
	c := k.write(v)
	if c.All || len(c.Parts) != 1 || k.written*20 > c.Size {
		t.Errorf("wrote %d parts, %d bytes of %d", len(c.Parts), k.written, c.Size)
	}
	if !bytes.Equal(k.whole(t), v.Append(nil)) {
		t.Error("the parts are another view")
	}
}

// Parts that are missing are noticed.
func TestPartsMissing(t *testing.T) {
	r := some{rand.New(rand.NewPCG(3, 4))}
	v, k := NewView("n", "b"), kept{}
	v.Track()
	for range 300 {
		Fold(v, r.many())
	}
	c := k.write(v)
	if n, ok := Apart(k.core); !ok || n != c.Count {
		t.Errorf("the core counts %d parts, %v; there are %d", n, ok, c.Count)
	}
	for key := range k.parts {
		delete(k.parts, key)
		break
	}
	if _, err := Whole(k.core, k.parts); err == nil {
		t.Error("a missing part wasn't noticed")
	}
	if _, ok := Apart(v.Append(nil)); ok {
		t.Error("a whole value was taken for one without its parts")
	}
}
