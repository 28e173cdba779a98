"""A placement group has a part on a node that will die."""
import time

import ray
from ray.util.placement_group import placement_group

ray.init(address="auto", log_to_driver=False)
ray.get(placement_group([{"CPU": 1}, {"GPU": 1}], strategy="STRICT_SPREAD").ready())
print("laid out", flush=True)
time.sleep(600)
