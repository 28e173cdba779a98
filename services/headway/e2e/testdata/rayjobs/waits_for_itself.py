"""An actor waits for its own method, and a task for the actor's result: nothing computes what is left."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_cpus=0)
class Reader:
    def one(self):
        return 1

    def all(self, me):
        return ray.get(me.one.remote())


@ray.remote
def parse(pages):
    return pages


reader = Reader.remote()
ray.get(parse.remote(reader.all.remote(reader)))
