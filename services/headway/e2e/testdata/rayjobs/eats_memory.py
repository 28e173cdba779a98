"""Its task takes more memory than the node allows, and Ray retries it for ever."""
import time

import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(max_retries=-1)
def eat():
    held = []
    for _ in range(50):
        held.append(b"x" * 100_000_000)
        time.sleep(0.1)
    time.sleep(60)
    return len(held)


ray.get(eat.remote())
