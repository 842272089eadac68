"Time augmentation beside torchvision on PIL images, one thread: python benchmarks/augment.py [FILE.npz]; without a file, random textures"
import statistics,sys,time

import torch, torch.nn.functional as F
from PIL import Image
from torchvision import transforms as T

from deep_al_illusions.tasks.geometry import Cutout,RandomCrop,RandomFlip
from deep_al_illusions.tasks.policies import AutoAugment
from deep_al_illusions.tasks.augment import Chain
from deep_al_illusions.tasks.named import load_task

def textures(n, size=32):
    "Waves of random colours with a little noise"
    low = F.interpolate(torch.rand(n, 3, size//4, size//4), size=size, mode='bicubic')
    return ((low+.1*torch.randn(n, 3, size, size))*255).clamp(0, 255).byte()

class PilCutout:
    "A black square of half the shorter side around a random pixel"
    def __call__(self, im):
        (w,h),k = im.size,min(im.size)//2
        x,y = (torch.randint(n, ()).item()-k//2 for n in (w,h))
        im.paste((0, 0, 0), (max(x, 0), max(y, 0), min(x+k, w), min(y+k, h)))
        return im

def pipelines(h, w):
    "Weak and strong: torchvision's, image by image, and ours"
    crop = [T.RandomCrop((h, w), min(h, w)//8, padding_mode='reflect'), T.RandomHorizontalFlip(), T.PILToTensor()]
    auto = T.AutoAugment(T.AutoAugmentPolicy.CIFAR10, fill=[128]*3)
    ours = [RandomCrop(), RandomFlip()]
    return dict(weak=(T.Compose(crop), Chain(ours)), strong=(T.Compose([auto, PilCutout(), *crop]), Chain([AutoAugment(), Cutout(), *ours])))

def seconds(*fs, repeats=9, sync=lambda: None):
    "Median seconds of each function; they take turns, so that load on the machine hits all alike"
    res = [[] for _ in fs]
    for _ in range(repeats+1):
        for f,r in zip(fs, res):
            start = time.perf_counter()
            f()
            sync()
            r.append(time.perf_counter()-start)
    return [statistics.median(r[1:]) for r in res]

def graph(f, x, g):
    "`f` captured as a CUDA graph, which spares the launches"
    with torch.cuda.stream(torch.cuda.Stream()): f(x, g)
    torch.cuda.synchronize()
    res = torch.cuda.CUDAGraph()
    res.register_generator_state(g)
    with torch.cuda.graph(res): f(x, g)
    return res.replay

def main(path=None):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = load_task(f'npz:{path}').x_train if path else textures(1024)
    print(f'{path or "textures"}, {x.shape[2]} x {x.shape[3]}, torch {torch.__version__}, 1 thread\n')
    print('| views | batch | PIL, images/s | ours, images/s | ratio |\n| --- | --- | --- | --- | --- |')
    for name,(pil,aug) in pipelines(*x.shape[2:]).items():
        for b in 64,320,1024:
            u,g = x[:b].contiguous(),torch.Generator().manual_seed(0)
            a = u.permute(0, 2, 3, 1).contiguous().numpy()
            theirs,own = seconds(lambda: torch.stack([pil(Image.fromarray(o)) for o in a]), lambda: aug(u, g))
            print(f'| {name} | {len(u)} | {len(u)/theirs:,.0f} | {len(u)/own:,.0f} | {theirs/own:.1f} |')
    if not torch.cuda.is_available(): return
    print(f'\n{torch.cuda.get_device_name()}\n\n| views | batch | images/s | as a CUDA graph, images/s |\n| --- | --- | --- | --- |')
    for name,(_,aug) in pipelines(*x.shape[2:]).items():
        for b in 64,320,1024:
            u,g = x[:b].cuda(),torch.Generator('cuda').manual_seed(0)
            eager,fast = seconds(lambda: aug(u, g), graph(aug, u, g), repeats=50, sync=torch.cuda.synchronize)
            print(f'| {name} | {len(u)} | {len(u)/eager:,.0f} | {len(u)/fast:,.0f} |')

if __name__=='__main__': main(*sys.argv[1:]) if len(sys.argv)<3 and '-h' not in sys.argv[-1] else sys.exit(__doc__)
