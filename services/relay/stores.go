package relay

import (
	"context"
	"fmt"

	"github.com/headwayhq/headway/services/relay/machine"
)

// storeNodes is the number of nodes whose metrics are read. Work that waits for memory shows on the nodes that should run it.
const storeNodes = 16

// Metrics that tell of work that waits for object store memory.
const (
	unplacedTasks  = "ray_scheduler_unscheduleable_tasks"
	tasksByState   = "ray_tasks"
	storeAvailable = "ray_object_store_available_memory"
	storeUsed      = "ray_object_store_used_memory"
	pullsRequested = "ray_pull_manager_requested_bundles"
	pullsActive    = "ray_pull_manager_active_bundles"
)

// fullStores finds the nodes on which work waits for object store memory. Nodes that can't be reached are left out: their
// agents often are in a network that the relay has no way into.
func (c *cluster) fullStores(ctx context.Context) (out []machine.Store, err error) {
	addresses, err := c.api.MetricAddresses(ctx)
	if err != nil {
		return nil, err
	}
	for _, address := range addresses[:min(len(addresses), storeNodes)] {
		metrics, err := c.api.Metrics(ctx, address, unplacedTasks, tasksByState, storeAvailable, storeUsed, pullsRequested, pullsActive)
		if err != nil {
			continue
		}
		s := machine.Store{Node: address}
		var free, used, requested, active float64
		for _, m := range metrics {
			switch m.Name {
			case unplacedTasks:
				if m.Labels["Reason"] == "WaitingForPlasmaMemory" {
					s.Waiting += int(m.Value)
				}
			case tasksByState:
				if m.Labels["State"] == "PENDING_OBJ_STORE_MEM_AVAIL" && m.Value > 0 {
					s.Waiting += int(m.Value)
				}
			case storeAvailable:
				free += m.Value
			case storeUsed:
				used += m.Value
			case pullsRequested:
				requested += m.Value
			case pullsActive:
				active += m.Value
			}
		}
		if requested > active {
			s.Waiting += int(requested - active)
		}
		if s.Waiting > 0 {
			const gib = 1 << 30
			s.Detail = fmt.Sprintf("%.1f GiB of its object store are in use, %.1f GiB are free", used/gib, free/gib)
			out = append(out, s)
		}
	}
	return out, nil
}
