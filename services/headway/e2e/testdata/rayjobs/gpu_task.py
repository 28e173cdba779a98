"""A task asks for a GPU that no node has."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_gpus=1)
def embed():
    return 1


ray.get(embed.remote())
