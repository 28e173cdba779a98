"""One bundle of a placement group is larger than any node."""
import ray
from ray.util.placement_group import placement_group

ray.init(address="auto", log_to_driver=False)
ray.get(placement_group([{"CPU": 1}, {"GPU": 4}], strategy="PACK").ready())
