import type { RunConfig } from '../../plan/run-config.js';

/** How a SavedModel is called, as Markdown. */
export function savedModelUsage({ size }: RunConfig): string {
  return `## Use

\`saved_model.pb\` holds the network with its weights; there is nothing else to load. Three signatures give
\`probabilities\` (float32 [n, classes]) and \`classes\` (their names, in the same order):

| signature | input | |
|---|---|---|
| \`serving_default\` | \`pixels\`: uint8 [n, height, width, 3] | RGB, upright, of any one size |
| \`serve_float\` | \`pixels\`: float32 [n, height, width, 3] | the same, as values from 0 to 255 |
| \`serve_jpeg\` | \`jpeg\`: string [n] | JPEG files' bytes, each of its own size; EXIF orientation is not heeded |

Images are resized and cropped inside the network as validation images were: the short side to ${size} pixels, then the
middle. Decoding and resizing are TensorFlow's own, so probabilities differ a little from those of \`coordinator predict\`
(usually in the third decimal, more on images that are made of fine noise).

\`\`\`python
import tensorflow as tf

model = tf.saved_model.load('.')
answer = model.signatures['serve_jpeg'](jpeg=tf.constant([open('image.jpg', 'rb').read()]))
print(dict(zip(answer['classes'].numpy(), answer['probabilities'].numpy()[0])))
\`\`\`

In JavaScript, with \`tf\` from the package @tensorflow/tfjs-node:

\`\`\`js
const model = await tf.node.loadSavedModel('.', ['serve'], 'serving_default');
const { probabilities } = model.predict({ pixels: tf.node.decodeImage(bytes, 3).expandDims(0) });
\`\`\`
`;
}

/** How safetensors are loaded into torchvision's network, as Markdown. */
export function safetensorsUsage({ arch, head, size, classes, dropout }: RunConfig): string {
  const names = `Tensors have torchvision's names and layouts${head === 'fastai' ? "; those of the head, which is\nfastai's, begin with `head.`" : ''}`;
  return `## Use

${names}. The file's metadata and \`classes.json\` name the classes in the
order of the outputs, which are logits. Images: RGB, short side to ${size} pixels, the middle ${size} × ${size}, values 0 to 1,
normalised with ImageNet's mean (0.485, 0.456, 0.406) and deviation (0.229, 0.224, 0.225).

\`\`\`python
import torch, torchvision
from safetensors.torch import load_file

tensors = load_file('model.safetensors')

${head === 'fastai' ? fastaiLoading(arch, classes.length, dropout) : linearLoading(arch, classes.length)}
network.eval()
\`\`\`

In Rondo: \`coordinator start --arch ${arch}${head === 'linear' ? ' --head linear' : ''} --pretrained model.safetensors\`.
`;
}

function linearLoading(arch: string, classes: number): string {
  return `network = torchvision.models.${arch}(num_classes=${classes})
network.load_state_dict(tensors)`;
}

/** The head as torchvision's `fc`, after fastai's pooling. */
function fastaiLoading(arch: string, classes: number, [first, second]: RunConfig['dropout']): string {
  return `class ConcatPool(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)

network = torchvision.models.${arch}()
features = 2 * network.fc.in_features
network.avgpool = ConcatPool()
network.fc = torch.nn.Sequential(
    torch.nn.Identity(), torch.nn.Identity(), torch.nn.BatchNorm1d(features), torch.nn.Dropout(${first}),
    torch.nn.Linear(features, 512), torch.nn.ReLU(), torch.nn.BatchNorm1d(512), torch.nn.Dropout(${second}),
    torch.nn.Linear(512, ${classes}))
network.load_state_dict({name.replace('head.', 'fc.'): value for name, value in tensors.items()})`;
}
