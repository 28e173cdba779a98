"""Its task raises, and Ray retries it for ever."""
import time

import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(max_retries=-1, retry_exceptions=True)
def parse():
    time.sleep(1)
    raise ValueError("page 7 has no text")


ray.get(parse.remote())
