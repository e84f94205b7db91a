"""The network of the lesson in PyTorch: torchvision's ResNet body and fastai's head."""

import torch
import torchvision
from torch import nn


class ConcatPool(nn.Module):
    def forward(self, features):
        return torch.cat([torch.amax(features, (2, 3)), torch.mean(features, (2, 3))], 1)


def build(arch, classes):
    body = nn.Sequential(*list(getattr(torchvision.models, arch)().children())[:-2])
    channels = 2 * (2048 if arch == "resnet50" else 512)
    head = [ConcatPool(), nn.BatchNorm1d(channels), nn.Dropout(0.25), nn.Linear(channels, 512), nn.ReLU(True)]
    head += [nn.BatchNorm1d(512), nn.Dropout(0.5), nn.Linear(512, classes)]
    return nn.Sequential(body, *head)
