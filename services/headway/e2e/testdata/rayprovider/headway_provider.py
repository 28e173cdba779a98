"""A provider of nodes for Ray's own autoscaler, of either version. A node type's config says what comes of a launch: a real node on
this machine ({}), a refusal in a provider's words ("refuses"), or a machine on which no Ray ever starts ("never_joins"), and which may
go again after some seconds ("lives")."""
import time

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.tags import NODE_KIND_WORKER, STATUS_SETTING_UP, TAG_RAY_NODE_KIND, TAG_RAY_NODE_NAME, TAG_RAY_NODE_STATUS


class Provider(FakeMultiNodeProvider):
    def create_node_with_resources_and_labels(self, node_config, tags, count, resources, labels):
        refusal = node_config.get("refuses")
        if refusal:
            raise NodeLaunchException(refusal["category"], refusal["description"], None)
        if not node_config.get("never_joins"):
            return super().create_node_with_resources_and_labels(node_config, tags, count, resources, labels)
        with self.lock:
            for _ in range(count):
                name = self._next_hex_node_id()
                self._nodes[name] = {"ends": time.time() + node_config.get("lives", float("inf")), "tags": {
                    TAG_RAY_NODE_KIND: NODE_KIND_WORKER, TAG_RAY_NODE_NAME: name, **tags, TAG_RAY_NODE_STATUS: STATUS_SETTING_UP,
                }}

    def non_terminated_nodes(self, tag_filters):
        with self.lock:
            for name in [n for n, node in self._nodes.items() if node.get("ends", float("inf")) < time.time()]:
                del self._nodes[name]
            return super().non_terminated_nodes(tag_filters)

    def _terminate_node(self, node):
        if "node" in node:
            super()._terminate_node(node)
