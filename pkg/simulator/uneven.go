package simulator

import (
	"fmt"
	"math"
	"time"
)

// uneven plays a healthy batch whose end is hard to predict: a linear estimate gets it wrong.
func (s *script) uneven() {
	tiers := 2 + s.rng.IntN(5)
	docs := make([]int, tiers)
	plan := make([]object, tiers)
	for n := range plan {
		docs[n] = 100 + int(float64(s.c.Docs)*s.lognormal(0.6))
		plan[n] = object{"tier_num": n, "requires_gpu": n > 0, "total_documents": docs[n]}
	}
	s.say(0, orchestrator, "batch", batchType, object{
		"status": "PENDING", "total_tiers": tiers, "created_at": s.moment(0), "tiers": plan,
		"labels": object{"scenario": string(s.scenario)},
	})
	at := s.between(time.Second, 10*time.Second)
	s.say(at, orchestrator, "batch", batchType, object{"status": "PROCESSING", "started_at": s.moment(at)})
	perDoc := 0.12 * s.lognormal(0.5) // seconds
	for n := range tiers {
		at = s.unevenTier(at, n, docs[n], perDoc*s.lognormal(0.45))
	}
	at += s.between(time.Second, 5*time.Second)
	s.say(at, orchestrator, "batch", batchType, object{"status": "COMPLETED", "completed_at": s.moment(at)})
	s.sort()
}

func (s *script) unevenTier(at time.Duration, n, docs int, perDoc float64) time.Duration {
	kind := fmt.Sprintf("tier.%d", n)
	j := job{s.jobID(n, 0), "embed"}
	s.job(at, n, j, "PENDING", object{"submitted_at": s.moment(at)})
	at += seconds(8 * s.lognormal(0.8))
	s.job(at, n, j, "RUNNING", object{"started_at": s.moment(at)})
	s.say(at, orchestrator, kind, tierType, object{"tier_num": n, "status": "PROCESSING", "started_at": s.moment(at)})
	at += seconds(10 * s.lognormal(0.6))
	ramp, droop := s.rng.Float64() < 0.3, s.rng.Float64() < 0.3
	noise, calm := 0.0, 0.1+0.5*s.rng.Float64()
	every := seconds(max(1, perDoc*float64(docs)/(20+100*s.rng.Float64())))
	for done := 0.0; done < float64(docs); {
		part := done / float64(docs)
		noise = 0.7*noise + calm*s.rng.NormFloat64()
		rate := math.Exp(noise-calm*calm) / perDoc
		if ramp {
			rate *= min(1, 0.3+part*2)
		}
		if droop {
			rate *= 1 - 0.5*part
		}
		step := every/2 + s.between(0, every)
		if s.rng.Float64() < 0.02 {
			at += seconds(20 * s.lognormal(0.5)) // a pause
		}
		more := rate * step.Seconds()
		if left := float64(docs) - done; more > left {
			step, more = time.Duration(float64(step)*left/more)+1, left
		}
		at += step
		done = min(float64(docs), done+more)
		if float64(docs)-done < 1 {
			done = float64(docs)
		}
		s.say(at, worker, kind+".progress", tierType, object{"tier_num": n, "processed_documents": int(done), "total_documents": docs})
	}
	at += s.between(time.Second, 3*time.Second)
	s.job(at, n, j, "SUCCEEDED", object{"ended_at": s.moment(at)})
	s.say(at, orchestrator, kind, tierType, object{"tier_num": n, "status": "COMPLETED", "completed_at": s.moment(at), "processed_documents": docs})
	return at
}

// lognormal has the median 1.
func (s *script) lognormal(sigma float64) float64 { return math.Exp(sigma * s.rng.NormFloat64()) }

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
