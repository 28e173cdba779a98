"""A placement group asks for two nodes, and there is one."""
import ray
from ray.util.placement_group import placement_group

ray.init(address="auto", log_to_driver=False)
ray.get(placement_group([{"CPU": 1}] * 2, strategy="STRICT_SPREAD").ready())
