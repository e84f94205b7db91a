"""The peer of `bench loader`: PIL and torchvision behind PyTorch's DataLoader. Reads the request as JSON from its
first argument (files, presize, microBatch, rounds, processes) and prints images per second, one figure per round."""

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
            squeezed = resize(image.convert("RGB"), [self.presize, self.presize], InterpolationMode.BILINEAR)
        return pil_to_tensor(squeezed)


def main():
    request = json.loads(sys.argv[1])
    loader = torch.utils.data.DataLoader(
        Pictures(request["files"], request["presize"]),
        batch_size=request["microBatch"],
        shuffle=True,
        num_workers=request["processes"],
        persistent_workers=True,
    )
    figures = []
    # One round more than is counted: the first one starts the processes.
    for round_number in range(request["rounds"] + 1):
        started = time.perf_counter()
        images = sum(len(batch) for batch in loader)
        if round_number > 0:
            figures.append(images / (time.perf_counter() - started))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
