"What benchmarks/fast.py measures: our trainings, the same as a plain loop in torch, several at a time, and what they consist of"
import copy,time
from functools import cache,partial
from itertools import count

import torch, torch.nn.functional as F
from torch.func import functional_call,stack_module_state,vmap

from deep_al_illusions.tasks.augment import augments,strong,views,weak
from deep_al_illusions.study.spec import generator
from deep_al_illusions.tasks.data import Task
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.learn.fast import own_stream,together
from deep_al_illusions.learn.models import predict
from fastai.callback.core import Callback
from deep_al_illusions.learn.step import make_step,on
from deep_al_illusions.learn.learner import learner
from deep_al_illusions.learn.train import keep_memory,new_model

@cache
def data(name):
    "The task called so, or for `random` noise in the shape of CIFAR-10"
    if name!='random': return load_task(name)
    g = torch.Generator().manual_seed(0)
    def part(n): return torch.randint(256, (n, 3, 32, 32), dtype=torch.uint8, generator=g),torch.randint(10, (n,), generator=g)
    return Task('random', [*'0123456789'], *part(50_000), *part(10_000))

def purposes(spec, member=0): return lambda o: generator(spec, f'{o} {member}')

class Ticks(Callback):
    "Tell a meter how many iterations are done"
    order,run_valid = 90,False
    def __init__(self, batches, tick): self.batches,self.tick = batches,tick
    def after_batch(self): self.tick(self.batches.i)

def ours(meter, name, spec, n_lbl, how=None, contiguous=False):
    "The package's own path; `how` forces another"
    task,ticks = data(name).at(spec).to(spec.device),[meter.loop() for _ in range(meter.loops)]
    keep_memory()
    def one(member):
        purpose = purposes(spec, member)
        step,model = make_step(task, spec, range(n_lbl), purpose),new_model(task, spec, purpose)
        if contiguous: model.to(memory_format=torch.contiguous_format)
        with own_stream(spec.device): learner(model, step, [*task.parts(spec), Ticks(step.lbl, ticks[member])], how).fit(1)
    meter.begun = time.perf_counter()
    together([partial(one, i) for i in range(meter.loops)], meter.loops)

def batched_views(task, spec):
    "Our augmentation of a batch, where the training is"
    g = on(generator(spec, 'views'), spec.device)
    return [lambda x, a=a: a(x, g) for a in (augments[spec.augment](task), weak(task), strong(task))]

def pil_views(task, spec):
    "torchvision's augmentation, image by image, and the way to the device"
    from augment import pipelines
    from PIL import Image
    both = {k: o[0] for k,o in pipelines(*task.x_train.shape[2:]).items()}
    def make(f): return lambda x: torch.stack([f(Image.fromarray(o)) for o in x.permute(0, 2, 3, 1).cpu().numpy()]).to(spec.device)
    return [make(both.get(o, lambda x: x)) for o in (spec.augment, 'weak', 'strong')]

def loss_of(model, x, y, u, spec, augs):
    "Cross-entropy, and where there are unlabelled images UDA's consistency, by separate forward passes"
    loss = F.cross_entropy(model(augs[0](x)), y)
    if u is None: return loss
    with torch.no_grad(): z = model(augs[1](u))
    kl = F.kl_div(model(augs[2](u)).log_softmax(1), (z/spec.temperature).softmax(1), reduction='none').sum(1)
    return loss+spec.ssl_weight*(kl*(z.softmax(1).amax(1)>spec.confidence)).mean()

def plain(meter, name, spec, n_lbl, pil=False):
    "An eager float32 loop as people write it: torch's default threads, layout and SGD, no notes"
    task,tick = data(name).to(spec.device),meter.loop()
    model = new_model(task, spec, purposes(spec)).to(spec.device, memory_format=torch.contiguous_format)
    opt = torch.optim.SGD(model.parameters(), spec.lr, spec.momentum, nesterov=spec.nesterov, weight_decay=spec.wd)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 50_000)
    augs,draw = (pil_views if pil else batched_views)(task, spec),lambda lo,hi,n: torch.randint(lo, hi, (n,), device=spec.device)
    meter.begun = time.perf_counter()
    for i in count(1):
        b = draw(0, n_lbl, spec.bs)
        u = task.x_train[draw(n_lbl, len(task.x_train), spec.bs_unl)] if spec.bs_unl else None
        loss = loss_of(model, task.x_train[b], task.y_train[b], u, spec, augs)
        opt.zero_grad()
        loss.backward()
        opt.step()
        rate.step()
        tick(i)

def stacked_step(models, spec, x, y):
    "An iteration of several networks whose parameters are stacked, as a function without arguments"
    params,buffers = stack_module_state(models)
    base = copy.deepcopy(models[0]).to('meta')
    opt = torch.optim.SGD(params.values(), spec.lr, spec.momentum, nesterov=spec.nesterov, weight_decay=spec.wd)
    def loss(p, b, x, y): return F.cross_entropy(functional_call(base, (p, b), (x,)), y)
    def step():
        with torch.autocast(spec.device, torch.bfloat16, enabled=spec.precision=='bf16', cache_enabled=False): each = vmap(loss)(params, buffers, x, y)
        each.sum().backward()
        opt.step()
        opt.zero_grad()
    return step

def recorded(step):
    "A step as a CUDA graph"
    side,graph = torch.cuda.Stream(),torch.cuda.CUDAGraph()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3): step()
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph): step()
    return graph.replay

def stacked(meter, name, spec, n_lbl, members):
    "Networks with stacked parameters, by `vmap`; one iteration is one of each"
    task,tick = data(name).to(spec.device),meter.loop()
    keep_memory()
    models = [new_model(task, spec, purposes(spec, i)).to(spec.device) for i in range(members)]
    draw = lambda: torch.randint(0, n_lbl, (members, spec.bs), device=spec.device)
    x,y = task.x_train[draw()],task.y_train[draw()]
    meter.begun = time.perf_counter()
    step = stacked_step(models, spec, x, y)
    if spec.device=='cuda': step = recorded(step)
    for i in count(1):
        b = draw()
        x.copy_(task.x_train[b])
        y.copy_(task.y_train[b])
        step()
        tick(i*members)

def augmenting(meter, name, spec, chunk=10):
    "Strong views of the unlabelled images of an iteration, several iterations at a go as a training does it"
    task,tick = data(name).to(spec.device),meter.loop()
    aug,g = strong(task),on(generator(spec, 'views'), spec.device)
    x = task.x_train[:chunk*spec.bs_unl].unflatten(0, (chunk, spec.bs_unl))
    for i in count(1):
        views([aug], x, g)
        tick(i*chunk)

def by_hand(model, x):
    "Logits in evaluation mode, as people write it"
    model.eval()
    with torch.no_grad(): return [model(o) for o in x.split(500)]

def scoring(meter, name, spec, n, eager=False):
    "Passes over `n` images"
    task,tick = data(name).to(spec.device),meter.loop()
    if not eager: keep_memory()
    model,x = new_model(task, spec, purposes(spec)).to(spec.device),task.x_train[:n]
    if eager: model.to(memory_format=torch.contiguous_format)
    for i in count(1):
        if eager: by_hand(model, x)
        else: [z for z,_ in predict(model, x, precision=spec.precision)]
        tick(i)
