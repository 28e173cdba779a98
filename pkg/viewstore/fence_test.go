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
		judged    float64
	}
	for name, steps := range map[string][]step{
		"follows":                                 {{100, true, 100, 0}, {105, true, 105, 0}, {115, true, 115, 0}},
		"no judgement before the first end":       {{100, false, 0, 0}, {5000, false, 0, 0}, {9000, true, 9000, 0}},
		"a jump holds, then it follows":           {{100, true, 100, 0}, {111, true, 100, 0}, {120, true, 100, 0}, {130.9, true, 100, 0}, {131, true, 131, 0}},
		"a jump of exactly the limit is none":     {{100, true, 100, 0}, {110, true, 110, 0}},
		"a second jump within the hold":           {{100, true, 100, 0}, {120, true, 100, 0}, {139, true, 100, 0}, {141, true, 141, 0}},
		"a second jump after it holds anew":       {{100, true, 100, 0}, {120, true, 100, 0}, {160, true, 120, 0}, {170, true, 120, 0}, {179, true, 120, 0}, {181, true, 181, 0}},
		"a watermark never goes back":             {{100, true, 100, 0}, {90, true, 100, 0}},
		"an announcement of before the jump":      {{100, true, 100, 0}, {140, false, 130, 130}, {150, true, 130, 130}, {160, true, 160, 130}},
		"an announcement ahead of the log":        {{100, true, 100, 0}, {105, true, 105, 900}},
		"an announcement before the first end":    {{100, false, 0, 90}, {110, true, 110, 90}},
		"incomplete again by a claim, no wiped J": {{100, true, 100, 0}, {104, false, 104, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var f Fence
			for i, s := range steps {
				f = f.Advance(Progress{Cursor: uint64(i), Watermark: second(s.watermark), Complete: s.complete, Judged: second(s.judged)}, 20*time.Second)
				if f.JudgeAt != second(s.judge) {
					t.Fatalf("step %d at %v s: judged at %v s, want %v s", i, s.watermark, time.Duration(f.JudgeAt).Seconds(), s.judge)
				}
			}
		})
	}
}
