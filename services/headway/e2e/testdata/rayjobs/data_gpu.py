"""The second operator of a dataset asks for a GPU that no node has; the first one finishes."""
import ray
import ray.data

ray.init(address="auto", log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
ray.data.range(1000, override_num_blocks=10).map_batches(lambda b: b, num_gpus=1, batch_size=100).materialize()
