"""One rank of PyTorch's DistributedDataParallel over gloo, channels_last, with fused AdamW, on a batch that stays: the peer of
`bench overlap`. Reads {"steps": N} per line of standard input, takes the steps, and answers with their times.

Usage: ddp.py SETTING (JSON, as in ddp.ts)
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

sys.path.append(str(Path(__file__).parents[1] / "support"))
from fastai_resnet import build

CLASSES = 37


def main():
    setting = json.loads(sys.argv[1])
    rank, world_size = setting["rank"], setting["ranks"]
    torch.set_num_threads(setting["threads"])
    torch.manual_seed(1)
    dist.init_process_group("gloo", init_method=f"file://{setting['store']}", rank=rank, world_size=world_size)
    model = nn.parallel.DistributedDataParallel(build(setting["arch"], CLASSES).to(memory_format=torch.channels_last))
    handed_over = []

    def hand_over(state, bucket):
        handed_over.append(time.perf_counter())
        return allreduce_hook(state, bucket)

    # What DDP does without a hook, with the time of it: the last bucket is complete when the last gradient is.
    model.register_comm_hook(None, hand_over)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.95, 0.99), weight_decay=0.01, fused=True)
    loss_of = nn.CrossEntropyLoss()
    generator = torch.Generator().manual_seed(rank)
    side = setting["size"]
    images = torch.randn((setting["batch"], 3, side, side), generator=generator).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(setting["batch"]) % CLASSES

    def take_step():
        handed_over.clear()
        dist.barrier()
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(images), labels).backward()
        reduced = time.perf_counter()
        optimizer.step()
        first, last = handed_over[0], handed_over[-1]
        end = time.perf_counter()
        return {"gradients": last - start, "ring": reduced - first, "ringExposed": reduced - last, "step": end - start}

    for line in sys.stdin:
        steps = json.loads(line)["steps"]
        cpu_before = time.process_time()
        times = [take_step() for _ in range(steps)]
        cpu = (time.process_time() - cpu_before) / steps
        digest = hashlib.sha256()
        for parameter in model.parameters():
            digest.update(parameter.detach().contiguous().numpy().tobytes())
        print(json.dumps({"times": times, "cpuSeconds": cpu, "digest": digest.hexdigest()}), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
