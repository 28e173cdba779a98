"""A placement group asks for more CPUs on one node than any has."""
import ray
from ray.util.placement_group import placement_group

ray.init(address="auto", log_to_driver=False)
ray.get(placement_group([{"CPU": 1}] * 3, strategy="STRICT_PACK", name="trainer").ready())
