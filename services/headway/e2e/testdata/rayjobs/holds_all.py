"""Holds all CPUs with a task that works."""
import time

import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_cpus=2)
def work():
    time.sleep(600)


ray.get(work.remote())
