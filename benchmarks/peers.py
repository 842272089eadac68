"UDA by semilearn, with our network and our views, for benchmarks/fast.py"
import importlib,sys,time
from itertools import count
from types import ModuleType

import torch
from torch import nn

from deep_al_illusions.learn.train import new_model

from loops import batched_views,data,purposes

def imported():
    "semilearn; the logger `aim` that it imports is replaced where it cannot be had"
    try: importlib.import_module('aim')
    except ImportError: sys.modules['aim'] = ModuleType('aim')
    return importlib.import_module('semilearn')

def why_not(): # Text; empty where it can be imported
    "Why semilearn cannot be measured"
    try:
        imported()
        return ''
    except Exception as e: return f'not installed: {" ".join(str(e).split())[:100]}'

class Both(nn.Module):
    "Logits and features of our network, as semilearn wants them"
    def __init__(self, model):
        super().__init__()
        self.norm,self.net = model
    def forward(self, x):
        f = self.net.features(self.norm(x))
        return dict(logits=self.net.head(f), feat=f)

def algorithm(task, spec):
    "semilearn's UDA with the settings of `spec`, without its data sets"
    get_config = imported().get_config
    from semilearn.algorithms.uda.uda import UDA
    class Ours(UDA):
        def set_dataset(self): return None
    args = get_config(dict(algorithm='uda', num_classes=len(task.classes), num_train_iter=50_000, epoch=1, batch_size=spec.bs, uratio=spec.bs_unl//spec.bs, optim='SGD',
        lr=spec.lr, momentum=spec.momentum, weight_decay=spec.wd, use_cat=spec.bn=='joint', amp=False, T=spec.temperature, p_cutoff=spec.confidence, tsa_schedule='none',
        rank=0, distributed=False, world_size=1, gpu=None))
    def build(**kw): return Both(new_model(task, spec, purposes(spec)).to(spec.device, memory_format=torch.contiguous_format))
    return Ours(args, build)

def semilearn_step(meter, name, spec, n_lbl):
    "Its `train_step` and its update of the weights"
    task,tick = data(name).to(spec.device),meter.loop()
    alg,(lbl,weak,strong) = algorithm(task, spec),batched_views(task, spec)
    alg.model.train()
    meter.begun = time.perf_counter()
    for alg.it in count(1):
        b,u = (torch.randint(lo, hi, (n,), device=spec.device) for lo,hi,n in ((0, n_lbl, spec.bs), (n_lbl, len(task.x_train), spec.bs_unl)))
        x = task.x_train[u]
        alg.out_dict,alg.log_dict = alg.train_step(lbl(task.x_train[b]), task.y_train[b], weak(x), strong(x))
        alg.call_hook('after_train_step', 'ParamUpdateHook')
        tick(alg.it)
