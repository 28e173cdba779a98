"""The interpreter of its task isn't there, so that no worker process comes up."""
import ray

ray.init(address="auto", log_to_driver=False)


@ray.remote(runtime_env={"py_executable": "/nowhere/python"})
def embed():
    return 1


ray.get(embed.remote())
