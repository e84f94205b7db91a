# Writes checkpoints as training scripts do, with unknown objects beside the weights, and what their tensors are.
import argparse, collections, datetime, enum, hashlib, json, pathlib, random, sys
import numpy, torch, torchvision

folder = pathlib.Path(sys.argv[1])
torch.manual_seed(1)
network = torchvision.models.resnet18(weights=None)
state = network.state_dict()


class Mode(enum.Enum):
    TRAIN = 1


class Meter:
    def __init__(self):
        self.values, self.tensor = [1.5, 2.5], torch.ones(3)


class Config(dict):
    pass


class Wrapper(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = network
        self.projector = torch.nn.Linear(3, 2)


def prefixed(prefix):
    return collections.OrderedDict((prefix + name, tensor) for name, tensor in state.items())


optimizer = torch.optim.Adam(network.layer1.parameters())
sum(parameter.sum() for parameter in network.parameters()).backward()
optimizer.step()
network.load_state_dict(state)
state = collections.OrderedDict((name, tensor.clone()) for name, tensor in network.state_dict().items())
beside = {
    'epoch': 3,
    'args': argparse.Namespace(lr=0.1, data=pathlib.Path('/data'), mode=Mode.TRAIN),
    'best': numpy.float64(0.5), 'count': numpy.int64(7), 'curve': numpy.arange(5.0), 'dtype': numpy.dtype('float32'),
    'rng': [random.getstate(), numpy.random.get_state(), torch.get_rng_state()],
    'when': datetime.datetime(2024, 1, 2, 3, 4, 5), 'zone': datetime.timezone.utc,
    'meter': Meter(), 'config': Config(a=1), 'set': {1, 2}, 'big': 1 << 80, 'bytes': b'abc', 'complex': 1 + 2j,
    'default': collections.defaultdict(list, {'a': [1]}), 'deque': collections.deque([1, 2]), 'slice': slice(1, 2),
    'device': torch.device('cpu'), 'type': torch.float16, 'size': torch.Size([1, 2]), 'class': Meter, 'function': hashlib.sha256,
    'wave': torch.ones(2, dtype=torch.complex64), 'quantized': torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    'sparse': torch.eye(2).to_sparse(), 'small': torch.ones(2).to(torch.float8_e5m2), 'wide': torch.ones(2, dtype=torch.uint16),
    'optimizer': optimizer.state_dict(), 'scheduler': torch.optim.lr_scheduler.StepLR(optimizer, 1).state_dict(),
}
files = {
    'module': prefixed('module.'),
    'lightning': {'state_dict': prefixed('model.'), 'hyper_parameters': Config(lr=0.1), **beside},
    'net': {'net': state, **beside},
    'ema': {'ema': {'shadow': prefixed('module.backbone.')}, **beside},
    'flat': {**state, 'args': argparse.Namespace(a=1)},
    'object': network,
    'wrapped': {'model': Wrapper(), **beside},
    'parameters': {'model': dict(network.named_parameters()) | dict(network.named_buffers())},
}
attributed = torch.nn.Parameter(state['conv1.weight'].clone())
attributed.no_decay = True
files['attributes'] = {**state, 'conv1.weight': attributed}
for name, content in files.items():
    torch.save(content, folder / f'{name}.pth')
    if name in ('module', 'lightning', 'object'):
        torch.save(content, folder / f'{name}.legacy.pth', _use_new_zipfile_serialization=False)
for protocol in (3, 5):
    torch.save(files['net'], folder / f'protocol-{protocol}.pth', pickle_protocol=protocol)
torch.save(files['net'], folder / 'protocol-4.legacy.pth', pickle_protocol=4, _use_new_zipfile_serialization=False)
torch.jit.script(network.eval()).save(folder / 'script.pth')
for name, dtype in {'half': torch.float16, 'brain': torch.bfloat16, 'double': torch.float64}.items():
    torch.save({'model': {key: tensor.to(dtype) for key, tensor in state.items()}}, folder / f'{name}.pth')


def digests(tensors):
    return {name: hashlib.sha256(tensor.float().numpy().tobytes()).hexdigest() for name, tensor in tensors.items()}


exact = digests({name: tensor for name, tensor in state.items() if not name.startswith('fc.') and tensor.ndim})
rounded = lambda dtype: digests({name: state[name].to(dtype) for name in exact})
print(json.dumps({'exact': exact, 'half': rounded(torch.float16), 'brain': rounded(torch.bfloat16)}))
