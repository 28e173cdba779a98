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
// What a RayJob waits for is read from its conditions and, if the service account may list pods, from the
// pods of its cluster: images that can't be pulled, pods that fit on no node, quota.
//
// Times are read from the objects, not from the local clock, so that several relays publish the same events.
package kuberay
