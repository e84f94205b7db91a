"""One rank of torch.distributed's gloo all-reduce: reads a task per line of standard input, answers with figures.

Usage: gloo.py RANK WORLD_SIZE STORE_FILE
"""

import json
import os
import sys
import time

# Ranks on one machine meet over loopback, as Rondo's do.
os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")

import torch
import torch.distributed as dist


def measure(length, rounds):
    vector = torch.full((length,), float(dist.get_rank() + 1))
    dist.all_reduce(vector)
    world = dist.get_world_size()
    assert bool((vector == world * (world + 1) / 2).all()), "the sum is wrong"
    vector.zero_()
    seconds = []
    cpu_before = time.process_time()
    for _ in range(rounds):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(vector)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "cpuSeconds": time.process_time() - cpu_before}


def main():
    rank, world_size, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world_size)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(measure(task["length"], task["rounds"])), flush=True)
    dist.destroy_process_group()


main()
