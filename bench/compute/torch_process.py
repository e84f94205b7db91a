"""One process that computes with a ResNet and fastai's head in PyTorch, with AdamW: reads a task per line of standard
input, answers with the steps' times.

Usage: torch_process.py SETTING (JSON, as in implementation.ts, with memoryFormat: contiguous or channels_last)
"""

import functools
import json
import math
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "support"))
from fastai_resnet import build


def main():
    setting = json.loads(sys.argv[1])
    torch.set_num_threads(setting["threads"])
    torch.manual_seed(1)
    size, classes = setting["size"], setting["classes"]
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    memory_format = formats[setting["memoryFormat"]]
    device = "cuda" if setting["device"] == "gpu" else "cpu"
    model = build(setting["arch"], classes).to(device, memory_format=memory_format)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = setting["precision"] == "tf32"

    @functools.cache
    def batch_of(count):
        images = (2 * torch.rand(count, 3, size, size) - 1).to(device, memory_format=memory_format)
        return images, (torch.arange(count) % classes).to(device)

    # The fused kernel is the fastest of PyTorch's three on a CPU.
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.95, 0.99), weight_decay=0.01, fused=True)
    loss_of = nn.CrossEntropyLoss()

    def compute(images):
        with torch.autocast(device, torch.bfloat16, enabled=setting["precision"] == "bfloat16"):
            return model(images)

    def train(images, labels):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(compute(images).float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict(images, _labels):
        with torch.inference_mode():
            return torch.softmax(compute(images).float(), 1)[0, 0].item()

    for line in sys.stdin:
        task = json.loads(line)
        model.train(task["work"] != "predict")
        step = predict if task["work"] == "predict" else train
        batch = batch_of(task.get("batch", setting["batch"]))
        spans = []
        loss = math.nan
        cpu_before = time.process_time()
        for _ in range(task["steps"]):
            start = time.monotonic()
            loss = step(*batch)
            spans.append([start, time.monotonic()])
        answer = {"spans": spans, "cpuSeconds": time.process_time() - cpu_before, "loss": loss}
        print(json.dumps(answer), flush=True)


main()
