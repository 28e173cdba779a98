"""Its own actors hold all CPUs that its task waits for."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_cpus=1)
class Reader:
    def go(self):
        return 1


readers = [Reader.remote() for _ in range(2)]
ray.get([r.go.remote() for r in readers])


@ray.remote(num_cpus=1)
def parse():
    return 1


ray.get(parse.remote())
