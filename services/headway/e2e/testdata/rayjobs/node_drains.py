"""Two tasks need the GPU of one node: while the first holds it, the node is drained."""
import time

import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_gpus=1, max_retries=-1)
def embed():
    time.sleep(600)


refs = [embed.remote() for _ in range(2)]
while not ray.available_resources().get("GPU", 0) == 0:
    time.sleep(0.2)
print("under way", flush=True)
ray.get(refs)
