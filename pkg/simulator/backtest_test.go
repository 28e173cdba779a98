package simulator

import "testing"

// The estimates depend only on the events, which the seed determines, so the result of this test never varies.
func TestEstimatesHold(t *testing.T) {
	r, err := RunBackTest(1, 200)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if r.Coverage90 < 0.80 || r.Coverage90 > 0.95 {
		t.Errorf("p90 held in %.1f %% of the moments, want 80 to 95", r.Coverage90*100)
	}
	if r.MedianError >= r.LinearError {
		t.Errorf("median error %.3f, no better than %.3f of the linear estimate", r.MedianError, r.LinearError)
	}
	if r.Estimated < 0.8 {
		t.Errorf("only %.1f %% of the moments got an estimate", r.Estimated*100)
	}
}
