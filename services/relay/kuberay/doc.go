// Package kuberay watches KubeRay's RayJob objects, for jobs whose Ray cluster comes and goes with them: before the cluster is
// there, and after it is gone, Kubernetes alone knows of the job.
//
// A RayJob has one submission at a time: status.jobId. KubeRay tries a failed one again with a new id, on a new cluster:
//
//	"" ─▶ Initializing ─▶ Running ─▶ Complete
//	 ▲     (Suspended,       │         │ Failed, ValidationFailed
//	 │      Waiting)         ▼         ▼
//	 └──────────────────── Retrying (when attempts are left)
//
// While it is Retrying the object still names the submission that failed. Its failure is held back until the next id is there, so that
// nobody is told that the job failed when it is about to be tried again; both are told together.
//
// What a RayJob waits for is read from its conditions and, where the account may list pods, from the pods of its cluster: images that can't be
// pulled, pods that no node takes, quota.
//
// Times come from the objects, so that several relays publish the same events.
package kuberay
