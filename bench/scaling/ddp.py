"""One rank of PyTorch's DistributedDataParallel over gloo, channels_last, with fused AdamW, fed by a DataLoader with PIL and
torchvision: the peer of `bench scaling`. Reads {"epochs": N} from standard input, trains, and answers with the steps made.

Usage: ddp.py SETTING (JSON, as in speeds.ts, with rank and store)
"""

import json
import os
import sys
import time
from pathlib import Path

# Ranks on one machine meet over loopback, as Rondo's do.
os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")

import torch
import torch.distributed as dist
from PIL import Image
from torch import nn
from torchvision import transforms

sys.path.append(str(Path(__file__).parents[1] / "support"))
from fastai_resnet import build


class Pictures(torch.utils.data.Dataset):
    """Presized as Rondo's are; of its augmentation only the crop and the flip, which cost PIL least."""

    def __init__(self, files, size):
        self.files = files
        presize = round(1.15 * size)
        self.transform = transforms.Compose(
            [
                transforms.Resize(presize),
                transforms.RandomCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with Image.open(self.files[index]) as image:
            return self.transform(image.convert("RGB")), int(self.files[index][-5])


def main():
    setting = json.loads(sys.argv[1])
    rank, world_size = setting["rank"], setting["workers"]
    torch.set_num_threads(setting["threads"])
    torch.manual_seed(1)
    dist.init_process_group("gloo", init_method=f"file://{setting['store']}", rank=rank, world_size=world_size)
    model = build(setting["arch"], 10).to(memory_format=torch.channels_last)
    model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.95, 0.99), weight_decay=0.01, fused=True)
    loss_of = nn.CrossEntropyLoss()
    # A tenth is set aside, as Rondo does for validation.
    pictures = Pictures(setting["files"][len(setting["files"]) // 10 :], setting["size"])
    sampler = torch.utils.data.DistributedSampler(pictures, num_replicas=world_size, rank=rank, drop_last=True)
    loader = torch.utils.data.DataLoader(
        pictures,
        batch_size=setting["batch"] // world_size,
        sampler=sampler,
        num_workers=1,
        prefetch_factor=4,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    for line in sys.stdin:
        made = []
        for epoch in range(json.loads(line)["epochs"]):
            sampler.set_epoch(epoch)
            for images, labels in loader:
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(model(images.contiguous(memory_format=torch.channels_last)), labels)
                loss.backward()
                optimizer.step()
                assert torch.isfinite(loss), "the loss is lost"
                samples = world_size * len(labels)
                made.append({"epoch": epoch, "samples": samples, "seconds": time.monotonic()})
        print(json.dumps(made), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
