package viewstore

import (
	"testing"
	"time"
)

func TestFenceReadsBack(t *testing.T) {
	for _, f := range []Fence{
		{},
		{LeaseUntil: 1, Views: 1 << 40, Identity: "abc_0", Fold: 3, Token: "T", Cursor: 1 << 60, CursorTime: 5, Watermark: 6, Complete: true, EndSeen: 7, JudgeAt: 8, HoldUntil: 9, PolicyHash: "h", GoneBefore: 10},
	} {
		if got, err := ParseFence(f.String()); err != nil || got != f {
			t.Errorf("%+v became %+v (%v)", f, got, err)
		}
	}
	for _, s := range []string{"", "1 2", "lease=1 views=2", Fence{}.String() + " ", Fence{}.String() + " more=1", "lease=x" + Fence{}.String()[7:], Fence{}.String()[:40]} {
		if _, err := ParseFence(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

// Rule 8: the moment at which timers are judged follows the watermark, but doesn't jump with it.
func TestRule8Advance(t *testing.T) {
	second := func(s float64) int64 { return int64(s * float64(time.Second)) }
	type step struct {
		watermark float64
		complete  bool
		judge     float64
	}
	for name, steps := range map[string][]step{
		"follows":                                 {{100, true, 100}, {105, true, 105}, {115, true, 115}},
		"no judgement before the first end":       {{100, false, 0}, {5000, false, 0}, {9000, true, 9000}},
		"a jump holds, then it follows":           {{100, true, 100}, {111, true, 100}, {120, true, 100}, {130.9, true, 100}, {131, true, 131}},
		"a jump of exactly the limit is none":     {{100, true, 100}, {110, true, 110}},
		"a second jump within the hold":           {{100, true, 100}, {120, true, 100}, {139, true, 100}, {141, true, 141}},
		"a second jump after it holds anew":       {{100, true, 100}, {120, true, 100}, {160, true, 120}, {170, true, 120}, {179, true, 120}, {181, true, 181}},
		"a watermark never goes back":             {{100, true, 100}, {90, true, 100}},
		"incomplete again by a claim, no wiped J": {{100, true, 100}, {104, false, 104}},
	} {
		t.Run(name, func(t *testing.T) {
			var f Fence
			for i, s := range steps {
				f = f.Advance(Progress{Cursor: uint64(i), Watermark: second(s.watermark), Complete: s.complete}, 20*time.Second)
				if f.JudgeAt != second(s.judge) {
					t.Fatalf("step %d at %v s: judged at %v s, want %v s", i, s.watermark, time.Duration(f.JudgeAt).Seconds(), s.judge)
				}
			}
		})
	}
}
