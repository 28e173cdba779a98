"""Ten thousand tasks ask for a GPU that no node has."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_gpus=1)
def embed(i):
    return i


ray.get([embed.remote(i) for i in range(10_000)])
