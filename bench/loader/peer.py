"""The peer of `bench loader`: PIL and torchvision behind PyTorch's DataLoader. Takes pictures as JSON in its first
argument (task.ts) and answers each line of standard input with a round's images per second."""

import json
import sys
import time

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import pil_to_tensor, resize


class Pictures(torch.utils.data.Dataset):
    def __init__(self, files, presize):
        self.files = files
        self.presize = presize

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with Image.open(self.files[index]) as image:
            resized = resize(image.convert("RGB"), self.presize, InterpolationMode.BILINEAR)
        return pil_to_tensor(resized)


def main():
    pictures = json.loads(sys.argv[1])
    loader = torch.utils.data.DataLoader(
        Pictures(pictures["files"], pictures["presize"]),
        batch_size=pictures["microBatch"],
        shuffle=True,
        num_workers=pictures["processes"],
        persistent_workers=True,
    )
    for _ in sys.stdin:
        started = time.perf_counter()
        images = sum(len(batch) for batch in loader)
        speed = images / (time.perf_counter() - started)
        print(json.dumps({"PIL + torchvision, every epoch": speed}), flush=True)


if __name__ == "__main__":
    main()
