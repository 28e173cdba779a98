"""A task runs on a node that will die, and is retried."""
import time

import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_gpus=1, max_retries=-1)
def embed():
    print("embeds", flush=True)
    time.sleep(600)


ref = embed.remote()
while not ray.available_resources().get("GPU", 0) == 0:
    time.sleep(0.2)
print("under way", flush=True)
ray.get(ref)
