package simulator

import (
	"fmt"
	"slices"
	"time"
)

const (
	orchestrator = "orchestrator"
	relay        = "ray/relay"
	worker       = "ray/worker"
	tierCount    = 3
)

// play generates the batch from its creation to its end, or to the point where it stops making progress.
func (s *script) play() {
	if s.scenario == Uneven {
		s.uneven()
		return
	}
	at := time.Duration(0)
	if s.scenario != JobsOnly {
		s.say(at, orchestrator, "batch", batchType, s.created())
		at += s.between(time.Second, 3*time.Second)
		s.say(at, orchestrator, "batch", batchType, object{"status": "PROCESSING", "started_at": s.moment(at)})
	}
	for n := range tierCount {
		end, ok := s.tier(at, n)
		if !ok {
			s.sort()
			return
		}
		at = end + s.between(time.Second, 4*time.Second)
	}
	switch s.scenario {
	case JobsOnly:
	case PartialFailures:
		s.say(at, orchestrator, "batch", batchType, object{"status": "COMPLETED_WITH_ERRORS", "completed_at": s.moment(at)})
	default:
		s.say(at, orchestrator, "batch", batchType, object{"status": "COMPLETED", "completed_at": s.moment(at)})
	}
	s.sort()
}

func (s *script) sort() {
	slices.SortStableFunc(s.events, func(a, b Event) int { return int(a.At - b.At) })
}

func (s *script) created() object {
	plan := make([]object, tierCount)
	for n := range plan {
		plan[n] = object{
			"tier_num": n, "requires_gpu": n > 0, "total_documents": s.c.Docs,
			"collections": []object{{"collection_id": fmt.Sprintf("col_%s_%d", s.batch, n), "collection_name": fmt.Sprintf("collection %d", n), "expected_documents": s.c.Docs}},
		}
	}
	return object{
		"status": "PENDING", "name": "Batch " + s.batch, "pipeline": "media-ingest", "owner": "team-search",
		"bucket_id": "bkt_demo", "labels": object{"scenario": string(s.scenario)}, "total_tiers": tierCount,
		"total_objects": s.c.Docs, "created_at": s.moment(0), "submitted_at": s.moment(0), "tiers": plan,
	}
}

// job is one Ray job of a tier.
type job struct{ id, extractor string }

// tier plays one tier from at on; ok is false if the batch ends or stops in it.
func (s *script) tier(at time.Duration, n int) (end time.Duration, ok bool) {
	kind := fmt.Sprintf("tier.%d", n)
	quiet := s.scenario == JobsOnly
	if !quiet {
		s.say(at, orchestrator, kind, tierType, object{"tier_num": n, "status": "PENDING", "task_id": fmt.Sprintf("task_%s_%d", s.batch, n)})
	}
	jobs := []job{{s.jobID(n, 0), "image_embedding"}}
	if n == 1 {
		jobs = append(jobs, job{s.jobID(n, 1), "transcript"})
	}
	queue := s.between(3*time.Second, 12*time.Second)
	if s.scenario == SlowStart && n == 1 {
		queue = 60 * time.Second
	}
	for _, j := range jobs {
		s.pending(at, n, j, queue)
	}
	if s.scenario == NodeNeverComes && n == 1 {
		s.infeasible(at, n, jobs[0])
		return 0, false
	}
	started := at + queue
	for _, j := range jobs {
		s.job(started, n, j, "RUNNING", object{"started_at": s.moment(started), "job_id": fmt.Sprintf("%02x000000", n+1)})
	}
	if !quiet {
		s.say(started, orchestrator, kind, tierType, object{"tier_num": n, "status": "PROCESSING", "started_at": s.moment(started)})
	}
	if s.scenario == Retry && n == 0 {
		failed := started + s.between(6*time.Second, 10*time.Second)
		s.job(failed, n, jobs[0], "FAILED", object{"ended_at": s.moment(failed), "error_type": "JOB_SUPERVISOR_ACTOR_DIED", "message": "The node with the driver died.", "exit_code": 1})
		jobs[0].id = s.jobID(n, 9)
		s.pending(failed+time.Second, n, jobs[0], 4*time.Second)
		started = failed + 5*time.Second
		s.job(started, n, jobs[0], "RUNNING", object{"started_at": s.moment(started)})
	}
	end, ok = s.work(started+s.between(2*time.Second, 8*time.Second), n, jobs)
	if !ok {
		return end, false
	}
	for _, j := range jobs {
		s.job(end, n, j, "SUCCEEDED", object{"ended_at": s.moment(end), "exit_code": 0})
	}
	if quiet {
		return end, true
	}
	end += s.between(100*time.Millisecond, time.Second)
	s.say(end, orchestrator, kind, tierType, object{"tier_num": n, "status": "COMPLETED", "completed_at": s.moment(end), "processed_documents": s.c.Docs})
	id := fmt.Sprintf("col_%s_%d", s.batch, n)
	s.say(end, orchestrator, "collection."+id, collectionType, object{"collection_id": id, "tier_num": n, "document_count": s.c.Docs})
	return end, true
}

func (s *script) jobID(n, k int) string { return fmt.Sprintf("raysubmit_%s_%d%d", s.batch, n, k) }

func (s *script) job(at time.Duration, n int, j job, status string, more object) {
	data := object{"tier_num": n, "submission_id": j.id, "extractor": j.extractor, "status": status}
	for k, v := range more {
		data[k] = v
	}
	s.say(at, relay, "job."+j.id, jobType, data)
}

func (s *script) pending(at time.Duration, n int, j job, queue time.Duration) {
	gpu := 0.0
	if n > 0 {
		gpu = 1
	}
	s.job(at, n, j, "PENDING", object{
		"submitted_at": s.moment(at), "cluster": "ray-demo", "dashboard_url": "http://127.0.0.1:8265/#/jobs/" + j.id,
		"resources":         object{"num_cpus": 2, "num_gpus": gpu, "memory_bytes": int64(4 << 30)},
		"submission_params": object{"entrypoint": "python -m pipeline.run", "num_gpus": gpu, "extractor_name": j.extractor},
	})
	if gpu > 0 && queue > 4*time.Second {
		s.job(at+2*time.Second, n, j, "PENDING", object{"waiting_on": object{
			"kind": "node_launch", "since": s.moment(at + time.Second), "demand": object{"GPU": 1}, "offered": object{"GPU": 0}, "nodes_pending": 1,
		}})
	}
}

// infeasible repeats the autoscaler's statement that no node type can ever take the job.
func (s *script) infeasible(at time.Duration, n int, j job) {
	for k := range 20 {
		s.job(at+time.Duration(7+5*k)*time.Second, n, j, "PENDING", object{"waiting_on": object{
			"kind": "resources", "since": s.moment(at + time.Second), "demand": object{"GPU": 1, "accelerator_type:H200": 0.001},
			"offered": object{"GPU": 0}, "nodes_pending": 0, "infeasible": true,
			"detail": "No available node types can fulfill resource request",
		}})
	}
}

// work processes the tier's documents at an uneven rate; ok is false if it ends or stops half-way.
func (s *script) work(at time.Duration, n int, jobs []job) (end time.Duration, ok bool) {
	steps := 18 + s.rng.IntN(14)
	failed := 0
	for k, done := 1, 0; done < s.c.Docs; k++ {
		at += s.c.Step/2 + s.between(0, s.c.Step)
		done = min(s.c.Docs, done+s.c.Docs/steps/2+s.rng.IntN(s.c.Docs/steps+1)+1)
		if s.scenario == PartialFailures && n == 1 {
			failed = done / 25
		}
		if n == 1 && done > s.c.Docs/2 {
			switch s.scenario {
			case Stuck:
				return s.hang(at, n, done), false
			case OutOfMemory:
				s.job(at, n, jobs[0], "FAILED", object{"ended_at": s.moment(at), "exit_code": 137, "error_type": "JOB_ENTRYPOINT_COMMAND_ERROR", "message": "Worker killed: out of memory (OOM), 15.9 GB of 16 GB used."})
				s.say(at+time.Second, orchestrator, fmt.Sprintf("tier.%d", n), tierType, object{"tier_num": n, "status": "FAILED", "error": "Ray job failed", "error_type": "resource", "completed_at": s.moment(at + time.Second)})
				s.say(at+2*time.Second, orchestrator, "batch", batchType, object{"status": "FAILED", "error": "tier 2 failed", "error_type": "resource", "completed_at": s.moment(at + 2*time.Second)})
				return at, false
			}
		}
		s.progress(at, n, jobs, done, failed, k)
	}
	return at + time.Second, true
}

func (s *script) progress(at time.Duration, n int, jobs []job, done, failed, k int) {
	if s.scenario == JobsOnly {
		s.job(at, n, jobs[0], "RUNNING", object{"processed_documents": done, "total_documents": s.c.Docs})
		return
	}
	data := object{"tier_num": n, "processed_documents": done, "total_documents": s.c.Docs}
	if failed > 0 {
		data["failed_documents"] = failed
		data["errors"] = []object{{"error_type": "validation", "message": "unsupported codec", "component": "decoder", "stage": "decode", "affected_count": failed, "affected_document_ids": []string{fmt.Sprintf("doc_%d", done)}}}
	}
	if k%4 == 0 {
		data["counts"] = object{"fetched": s.c.Docs, "after_filter": s.c.Docs, "submitted": done, "written": done - failed}
	}
	s.say(at, worker, fmt.Sprintf("tier.%d.progress", n), tierType, data)
	if k%5 == 0 {
		for w, stage := range []string{"decode", "embed", "write"} {
			count := done / 2
			mean := 20.0 + 60*float64(w%2)
			s.say(at, worker, fmt.Sprintf("stage.%d", n), stageType, object{
				"tier_num": n, "stage": stage, "component": "pipeline", "worker": fmt.Sprintf("w%d", k%2), "count": count,
				"total_ms": mean * float64(count), "max_ms": mean * 6, "buckets": [][2]float64{{10, float64(count / 8)}, {100, float64(count / 2)}, {1000, float64(count - count/8 - count/2)}},
			})
		}
	}
}

// hang sends events without progress for a while.
func (s *script) hang(at time.Duration, n, done int) time.Duration {
	for range 30 {
		at += 2 * s.c.Step
		s.say(at, worker, fmt.Sprintf("tier.%d.progress", n), tierType, object{"tier_num": n, "processed_documents": done, "total_documents": s.c.Docs})
	}
	return at
}
