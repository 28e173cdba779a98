package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
)

// rayOptions are what a head is started with beyond its ports.
type rayOptions struct {
	env        func() []string
	autoscaler string // version of Ray's autoscaler, "v1" or "v2"; "": none
	nodes      map[string]nodeType
}

// nodeType is one that the autoscaler may launch; see testdata/rayprovider for its config.
type nodeType struct {
	Resources map[string]float64 `json:"resources"`
	Config    map[string]any     `json:"node_config"`
	Most      int                `json:"max_workers"`
}

// The id and the type of the head, as Ray's own fake provider tells them.
const (
	headNode = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"
	headType = "ray.head.default"
)

// scales gives the head an autoscaler, which launches nodes of testdata/rayprovider.
func (h *rayHead) scales(o rayOptions) {
	h.t.Helper()
	provider, err := filepath.Abs(filepath.Join("testdata", "rayprovider"))
	if err != nil {
		h.t.Fatal(err)
	}
	types := maps.Clone(o.nodes)
	types[headType] = nodeType{Resources: map[string]float64{"CPU": 2}, Config: map[string]any{}}
	config := map[string]any{
		"cluster_name": "truth", "max_workers": 8, "idle_timeout_minutes": 5, "upscaling_speed": 1, "auth": map[string]any{}, "file_mounts": map[string]any{},
		"available_node_types": types, "head_node_type": headType,
		"provider": map[string]any{
			"type": "external", "module": "headway_provider.Provider", "gcs_address": h.gcs, "head_node_id": headNode, "launch_multiple": true,
			"disable_node_updaters": true, "disable_launch_config_check": true,
		},
	}
	for _, commands := range []string{
		"setup_commands", "head_setup_commands", "worker_setup_commands", "initialization_commands", "head_start_ray_commands", "worker_start_ray_commands",
		"rsync_exclude", "rsync_filter", "cluster_synced_files",
	} {
		config[commands] = []string{}
	}
	body, err := json.Marshal(config)
	if err != nil {
		h.t.Fatal(err)
	}
	file := filepath.Join(h.dir, "autoscaling.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.args = append(h.args, "--autoscaling-config="+file)
	h.env = append(h.env, "PYTHONPATH="+provider, "RAY_FAKE_CLUSTER=1", "AUTOSCALER_UPDATE_INTERVAL_S=1")
	if o.autoscaler == "v2" {
		h.env = append(h.env, "RAY_enable_autoscaler_v2=1", "RAY_CLOUD_INSTANCE_ID="+headNode, "RAY_OVERRIDE_NODE_ID_FOR_TESTING="+headNode)
	}
}

// scalingScenes are situations of a cluster that launches nodes.
func scalingScenes() []scene {
	gpu := func(config map[string]any) map[string]nodeType {
		return map[string]nodeType{"gpu_workers": {Resources: map[string]float64{"CPU": 1, "GPU": 1}, Config: config, Most: 2}}
	}
	noStock := gpu(map[string]any{"refuses": map[string]any{
		"category": "InsufficientInstanceCapacity", "description": "We currently do not have sufficient p4d.24xlarge capacity in the zone",
	}})
	quota := gpu(map[string]any{"refuses": map[string]any{"category": "VcpuLimitExceeded", "description": "You have requested more vCPU capacity than your current limit of 64"}})
	needsGPU := submitted(rayJob{Entrypoint: "true", GPUs: 1})
	return []scene{
		{name: "provider has no stock", codes: []string{"CAPACITY:NODE_REFUSED"}, says: "p4d.24xlarge", head: rayOptions{autoscaler: "v1", nodes: noStock}, play: needsGPU},
		{name: "provider has no stock, autoscaler v2", codes: []string{"CAPACITY:NODE_REFUSED"}, says: "gpu_workers", head: rayOptions{autoscaler: "v2", nodes: noStock}, play: needsGPU},
		{name: "provider names a quota", codes: []string{"CAPACITY:QUOTA"}, says: "64", head: rayOptions{autoscaler: "v1", nodes: quota}, play: needsGPU},
		{name: "node is on its way", codes: []string{"CAPACITY:NODE_LAUNCHING"}, head: rayOptions{autoscaler: "v1", nodes: gpu(map[string]any{"never_joins": true})}, play: needsGPU},
		{name: "nodes never join", codes: []string{"CAPACITY:NODE_NOT_JOINING"}, says: "came to nothing", head: rayOptions{autoscaler: "v1", nodes: gpu(map[string]any{"never_joins": true, "lives": 8})}, play: needsGPU},
		{
			name: "cluster is at its limit", codes: []string{"CAPACITY:AT_LIMIT"}, says: "may launch no more",
			head: rayOptions{autoscaler: "v2", nodes: map[string]nodeType{"big": {Resources: map[string]float64{"CPU": 4}, Config: map[string]any{}, Most: 1}}},
			play: func(s *rayStand) string {
				s.head.submit(rayJob{ID: "other", Entrypoint: "sleep 600", CPUs: 4})
				s.shows("other", map[string]any{"status": "RUNNING"})
				s.head.submit(rayJob{ID: "job", Entrypoint: "true", CPUs: 4})
				return "job"
			},
		},
	}
}
