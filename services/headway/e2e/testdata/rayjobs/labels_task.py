"""A task asks for a label that no node has."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_cpus=1, label_selector={"zone": "moon"})
def g():
    return 1


ray.get(g.remote())
