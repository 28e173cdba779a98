package answer

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

func proofInfo(p *view.Proof) ProofInfo {
	s := &p.Seen.V
	o := ProofInfo{
		Kind: p.Kind, Process: p.Process, Name: orNull(s.Name), TakenAt: *judge.Instant(p.Seen.At.Time), Frame: orNull(s.Frame),
		FrameSince: judge.Instant(s.FrameSince), Unavailable: orNull(s.Unavailable),
	}
	if s.Looks > 0 {
		o.Looks = &s.Looks
	}
	return o
}

func proofInfos(of []*view.Proof) []ProofInfo {
	out := make([]ProofInfo, 0, len(of))
	for _, p := range of {
		out = append(out, proofInfo(p))
	}
	return out
}

// proofs are those of the jobs that still run or have failed.
func (x *explainer) proofs() []Proof {
	out := []Proof{}
	for _, j := range x.d.Jobs {
		if !j.Live() && j.Status != event.WordFailed {
			continue
		}
		for _, p := range x.d.Proofs(j) {
			i := proofInfo(p)
			out = append(out, Proof{j.State.ID, i.Kind, i.Process, i.Name, i.TakenAt, i.Frame, i.FrameSince, i.Looks, i.Unavailable, orNull(p.Seen.V.Text)})
		}
	}
	return out
}
