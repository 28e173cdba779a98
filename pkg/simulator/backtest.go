package simulator

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// BackTest compares estimates of the end with what happened, over all sampled moments. Errors
// are relative to the time that really remained.
type BackTest struct {
	Batches, Moments int
	Estimated        float64 // share of the moments that got an estimate
	MedianError      float64 // of p50
	LinearError      float64 // of the plain estimate elapsed ÷ overall_progress, at the same moments
	Coverage50       float64 // share of ends not after p50
	Coverage90       float64 // share of ends not after p90
	Confidence       map[string]Judged
}

// Judged is the result for the estimates of one confidence.
type Judged struct {
	Moments     int
	MedianError float64
}

// backTestMoments is how often each batch is sampled, evenly from 4 % to 97 % of its lifetime.
const backTestMoments = 20

// RunBackTest plays uneven batches and estimates the end of each at many moments, using only the events up
// to that moment.
func RunBackTest(seed uint64, batches int) (BackTest, error) {
	out := BackTest{Batches: batches, Confidence: map[string]Judged{}}
	var own, linear []float64
	by := map[string][]float64{}
	within50, within90 := 0, 0
	start := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for i := range batches {
		events := Events(Config{Seed: seed + uint64(i), Batches: 1, Start: start, Docs: 1500, Scenarios: []Scenario{Uneven}})
		whole, next := events[len(events)-1].At, 0
		v := diagnostics.NewView("default", events[0].Batch)
		end := start.Add(whole)
		for k := range backTestMoments {
			at := time.Duration(float64(whole) * (0.04 + 0.93*float64(k)/(backTestMoments-1)))
			for ; next < len(events) && events[next].At <= at; next++ {
				if err := fold(v, events[next], start); err != nil {
					return out, err
				}
			}
			out.Moments++
			asOf := start.Add(at)
			s := diagnostics.Render(v, asOf, diagnostics.DefaultPolicy(), diagnostics.Meta{})
			if s.ETA == nil || s.OverallProgress <= 0 || s.StartedAt == nil {
				continue
			}
			left := end.Sub(asOf).Seconds()
			miss := math.Abs(s.ETA.P50.Sub(end).Seconds()) / left
			elapsed := asOf.Sub(*s.StartedAt)
			straight := s.StartedAt.Add(time.Duration(float64(elapsed) * 100 / s.OverallProgress))
			own, linear = append(own, miss), append(linear, math.Abs(straight.Sub(end).Seconds())/left)
			by[s.ETA.Confidence] = append(by[s.ETA.Confidence], miss)
			if !end.After(s.ETA.P50) {
				within50++
			}
			if !end.After(s.ETA.P90) {
				within90++
			}
		}
	}
	n := float64(len(own))
	out.Estimated, out.MedianError, out.LinearError = n/float64(out.Moments), middle(own), middle(linear)
	out.Coverage50, out.Coverage90 = float64(within50)/n, float64(within90)/n
	for word, errs := range by {
		out.Confidence[word] = Judged{len(errs), middle(errs)}
	}
	return out, nil
}

func fold(v *diagnostics.View, e Event, start time.Time) error {
	var dec diagnostics.Decoder
	event, refused := dec.Decode(diagnostics.Message{Subject: e.Subject, Data: e.Data, Stored: start.Add(e.At)})
	if refused != nil {
		return fmt.Errorf("simulator: %s: %s", refused.Field, refused.Reason)
	}
	diagnostics.Fold(v, event)
	return nil
}

func middle(of []float64) float64 {
	if len(of) == 0 {
		return math.NaN()
	}
	slices.Sort(of)
	return of[len(of)/2]
}
