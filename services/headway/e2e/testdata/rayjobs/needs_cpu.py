"""Asks for one CPU."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_cpus=1)
def f():
    return 1


ray.get(f.remote())
