"""Its actor dies, and Ray restarts it for ever."""
import os
import time

import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(max_restarts=-1, max_task_retries=-1)
class Reader:
    def go(self):
        time.sleep(1)
        os._exit(7)


ray.get(Reader.remote().go.remote())
