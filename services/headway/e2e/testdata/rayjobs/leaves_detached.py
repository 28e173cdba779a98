"""Ends, and leaves a detached actor behind that holds all CPUs."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_cpus=2, lifetime="detached", name="cache")
class Cache:
    def go(self):
        return 1


ray.get(Cache.remote().go.remote())
