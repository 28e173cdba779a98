// Package kuberay watches KubeRay's RayJob objects, for jobs that bring their own Ray cluster: before that cluster exists and after
// it is deleted, only Kubernetes knows of the job.
//
// A RayJob has one submission at a time: status.jobId. KubeRay retries a failed one under a new id, on a new cluster:
//
//	"" ─▶ Initializing ─▶ Running ─▶ Complete
//	 ▲     (Suspended,       │         │ Failed, ValidationFailed
//	 │      Waiting)         ▼         ▼
//	 └──────────────────── Retrying (when attempts are left)
//
// While it is Retrying the object still names the submission that failed. Its failure is held back until the next id is known
// and then published together with it, so that a job that is about to be retried isn't shown as failed.
//
// An id is known only once the operator has made one. Before that, in a queue or while a person is to submit, the job goes by
// the object's name, and what was said of it ends when it goes on under its id. A queue that preempts a RayJob makes the
// operator wipe the id: the job keeps it here until there is another one.
//
// Why a RayJob doesn't get on is read from its RayCluster, its pods, their events, Kueue's workload and Volcano's pod
// group, all of them watched. What is said is the first link of the chain that isn't met: admitted, accepted, created,
// placed, set up, image, container, joined. Where the account may not read one of these, the rest goes on, and what
// is said names the right that is missing.
//
// A RayJob's cluster may be relayed too. Both tell of one job (relay.Observation.Outside), whichever was started first.
//
// Of a container that ended with an error the last lines are read, where the job's namespace has opted in to proofs.
//
// Times are read from the objects, not from the local clock, so that several relays publish the same events.
package kuberay
