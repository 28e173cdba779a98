"""The process of its task dies, and Ray retries it for ever."""
import os
import time

import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(max_retries=-1)
def decode():
    time.sleep(1)
    os._exit(7)


ray.get(decode.remote())
