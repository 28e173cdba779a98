package relay

import (
	"context"
	"fmt"
	"strings"

	"github.com/headwayhq/headway/services/relay/machine"
)

// storeNodes is the number of nodes whose metrics are read. Work that waits for memory shows on the nodes that should run it.
const storeNodes = 16

// Metrics that tell of work that waits for object store memory, or for worker processes.
const (
	unplacedTasks  = "ray_scheduler_unscheduleable_tasks"
	tasksByState   = "ray_tasks"
	storeAvailable = "ray_object_store_available_memory"
	storeUsed      = "ray_object_store_used_memory"
	pullsRequested = "ray_pull_manager_requested_bundles"
	pullsActive    = "ray_pull_manager_active_bundles"
	activeInData   = "ray_data_num_tasks_running"
)

// nodeMetrics is what the agents of the nodes report.
type nodeMetrics struct {
	full   []machine.Store
	starts []machine.Starts
	inGet  map[string]int // tasks that run and only wait in ray.get or ray.wait, by job id
	active map[string]int // tasks that Ray Data counts as running, by dataset
}

// nodeMetrics finds the nodes on which work waits for object store memory or for worker processes, and what tasks run only in name. Nodes that
// can't be reached are left out: their agents often are in a network that the relay has no way into.
func (c *cluster) nodeMetrics(ctx context.Context) (out nodeMetrics, err error) {
	addresses, err := c.api.MetricAddresses(ctx)
	if err != nil {
		return out, err
	}
	out.inGet, out.active = map[string]int{}, map[string]int{}
	for _, address := range addresses[:min(len(addresses), storeNodes)] {
		metrics, err := c.api.Metrics(ctx, address, unplacedTasks, tasksByState, storeAvailable, storeUsed, pullsRequested, pullsActive, activeInData)
		if err != nil {
			continue
		}
		starting := 0
		sum := map[string]float64{}
		for _, m := range metrics {
			switch {
			case m.Labels["Type"] == "CumulativeTotal": // all pulls so far, beside those that are pulled now
			case m.Name == tasksByState && strings.HasPrefix(m.Labels["State"], "RUNNING_IN_RAY_"):
				out.inGet[m.Labels["JobId"]] += int(m.Value)
			case m.Name == activeInData:
				out.active[m.Labels["dataset"]] += int(m.Value)
			case m.Name == unplacedTasks && m.Labels["Reason"] == "WaitingForWorkers":
				starting += int(m.Value)
			case m.Name != unplacedTasks && m.Name != tasksByState, m.Labels["Reason"] == "WaitingForPlasmaMemory", m.Labels["State"] == "PENDING_OBJ_STORE_MEM_AVAIL":
				sum[m.Name] += m.Value
			}
		}
		if starting > 0 {
			out.starts = append(out.starts, machine.Starts{Node: address, Waiting: starting})
		}
		s := machine.Store{Node: address, Waiting: int(sum[unplacedTasks] + sum[tasksByState] + max(0, sum[pullsRequested]-sum[pullsActive]))}
		if s.Waiting > 0 {
			const gib = 1 << 30
			s.Detail = fmt.Sprintf("%.1f GiB of its object store are in use, %.1f GiB are free", sum[storeUsed]/gib, sum[storeAvailable]/gib)
			out.full = append(out.full, s)
		}
	}
	return out, nil
}
