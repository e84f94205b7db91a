"""The peers of `bench shards`: WebDataset and Streaming behind PyTorch's DataLoader, with the decode of `bench loader`'s
peer. First argument: "webdataset", "streaming", or "write", which makes Streaming's shards of tars. A line of
standard input is a Pass of task.ts, answered by a PassResult."""

import io
import itertools
import json
import os
import resource
import sys
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, pil_to_tensor, resize


def decode(raw, presize):
    with Image.open(io.BytesIO(raw)) as image:
        resized = resize(image.convert("RGB"), presize, InterpolationMode.BILINEAR)
    return pil_to_tensor(center_crop(resized, presize))


def locate(place, name):
    """WebDataset knows no s3://, but signed addresses are plain ones."""
    if not place.startswith("s3://"):
        return f"{place}/{name}"
    import boto3
    from botocore.config import Config

    bucket, prefix = place.removeprefix("s3://").split("/", 1)
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=config)
    return client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": f"{prefix}/{name}"})


def open_webdataset(o):
    import webdataset

    urls = [locate(o["packed"], name) for name in o["tars"]]
    # It keeps no position: what was consumed is read and passed over, before it is decoded.
    data = webdataset.WebDataset(urls, shardshuffle=100, seed=1, nodesplitter=None).shuffle(1000)
    if o["consumed"]:
        skip = o["consumed"] // o["workers"]
        data = data.compose(lambda samples: itertools.islice(samples, skip, None))
    return data.map(lambda sample: (decode(sample["jpg"], o["presize"]), int(sample["cls"])))


class StreamingImages:
    """Made in the process that reads, as Streaming asks for a class of its own."""

    def __new__(cls, o):
        from streaming import StreamingDataset

        class Images(StreamingDataset):
            def __getitem__(self, index):
                sample = super().__getitem__(index)
                return decode(sample["jpg"], o["presize"]), sample["cls"]

        remote = o["streaming"] if "://" in o["streaming"] else None
        local = o["streaming"] if remote is None else os.path.join(o["cacheDir"], "streaming")
        return Images(
            remote=remote, local=local, shuffle=True, shuffle_seed=1, num_canonical_nodes=1,
            batch_size=o["batch"],
        )


def run(kind, o):
    began = time.perf_counter()
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    workers = o["workers"]
    if kind == "streaming":
        from streaming import StreamingDataLoader

        data = StreamingImages(o)
        loader = StreamingDataLoader(data, batch_size=o["batch"], num_workers=workers)
        if o["consumed"]:
            loader.load_state_dict(
                {"epoch": 0, "sample_in_epoch": o["consumed"], "num_canonical_nodes": 1,
                 "shuffle_seed": 1, "initial_physical_nodes": 1}
            )
    else:
        loader = torch.utils.data.DataLoader(open_webdataset(o), batch_size=o["batch"], num_workers=workers)
    images, first = 0, 0.0
    for batch, _ in loader:
        if images == 0:
            first = time.perf_counter() - began
        images += len(batch)
    seconds = time.perf_counter() - began
    del loader
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(a.ru_utime + a.ru_stime - b.ru_utime - b.ru_stime for a, b in zip(after, before))
    image_bytes = o["imageBytes"] * images / o["images"]
    return {"firstBatchSeconds": first, "seconds": seconds, "cpuSeconds": cpu, "images": images, "imageBytes": image_bytes}


def write(packed, out, shard_bytes):
    import glob

    import webdataset
    from streaming import MDSWriter

    columns = {"jpg": "bytes", "cls": "int"}
    with MDSWriter(out=out, columns=columns, size_limit=shard_bytes) as writer:
        for sample in webdataset.WebDataset(sorted(glob.glob(packed + "/*.tar")), shardshuffle=False):
            writer.write({"jpg": sample["jpg"], "cls": int(sample["cls"])})


if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "write":
        write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        __import__("webdataset" if kind == "webdataset" else "streaming")
        for line in sys.stdin:
            # What the libraries print must not stand between the answers.
            answers, sys.stdout = sys.stdout, sys.stderr
            result = run(kind, json.loads(line))
            sys.stdout = answers
            print(json.dumps(result), flush=True)
