"""Its actors keep what fills the object store in use, and a task needs room for its arguments."""
import time

import numpy as np
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_cpus=0)
class Keeper:
    def keep(self, data):
        self.data = data
        return data.nbytes


@ray.remote(num_cpus=0)
def make():
    return np.zeros(30_000_000, dtype=np.uint8)


@ray.remote
def join(a, b, c):
    return a.nbytes + b.nbytes + c.nbytes


keepers = [Keeper.remote() for _ in range(2)]
ray.get([k.keep.remote(np.zeros(40_000_000, dtype=np.uint8)) for k in keepers])
ray.get(join.remote(*[make.remote() for _ in range(3)]))
time.sleep(600)
