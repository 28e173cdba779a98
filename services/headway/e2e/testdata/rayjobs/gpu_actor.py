"""An actor asks for a GPU that no node has."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(num_gpus=1)
class Embedder:
    def go(self):
        return 1


ray.get(Embedder.remote().go.remote())
