"The four ways to carry out a training agree, alone and side by side, and a GPU's rules are kept where there is none"
import os,signal,subprocess,sys,threading,_thread
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np, pandas as pd, pytest, torch, torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from deep_al_illusions import augment, fast, train as training
from deep_al_illusions.augment import strong, views
from deep_al_illusions.core import InputError, Spec, digest, generator, settings
from deep_al_illusions.data import load_task
from deep_al_illusions.fast import Captured, Engine, at_once, compiler, own_stream, path_for, together
from deep_al_illusions.loop import beside_of, run
from deep_al_illusions.models import WideResNet, build, models, predict
from deep_al_illusions.train import Bar, Schedule, Step, extras, groups, make_step, new_model, sgd, train, training_key

@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    for k in 'FAST', 'AT_ONCE': monkeypatch.delenv(f'DAL_{k}', raising=False)
    monkeypatch.setenv('DAL_DEVICE', 'cpu')

small = dict(bs=8, bs_unl=16)
# chkstyle: ignore-node
kinds = {
    'strong': (dict(bs=8, augment='strong', ema=.9), []),
    'predicted': (dict(bs=8, augment='weak'), ['pred_loss']),
    'uda': (dict(ssl='uda', **small), []),
    'joint': (dict(ssl='uda', bn='joint', tsa='log', augment='strong', ema=.9, **small), ['pred_loss'])}

def weights(model): return digest(*model.state_dict().values())
def gap(a, b): return max((u.double()-v.double()).abs().max().item() for u,v in zip(a.state_dict().values(), b.state_dict().values()))

def same(a, b):
    assert weights(a[0])==weights(b[0])
    assert a[1]['score']==b[1]['score'] and str(a[1]['diagnostics'])==str(b[1]['diagnostics'])

# chkstyle: ignore-node
def trained(kind, root, n, **kw): return train(load_task('digits'), Spec(iterations=n, **kinds[kind][0]|kw), range(20), root=root, extra=kinds[kind][1])

def by(how, monkeypatch): monkeypatch.setenv('DAL_FAST', how)

@pytest.mark.parametrize('kind', kinds)
def test_chunks_equal_the_plain_loop(kind, tmp_path, monkeypatch):
    sizes,call = [],Engine.__call__
    monkeypatch.setattr(Engine, '__call__', lambda self, rows, rates: sizes.append(len(rates)) or call(self, rows, rates))
    a = trained(kind, tmp_path/'chunks', 50)
    assert sum(sizes)==50 and max(sizes)==(3 if 'uda' in str(kinds[kind]) else 10)
    by('off', monkeypatch)
    same(a, trained(kind, tmp_path/'plain', 50))
    assert sum(sizes)==50

def test_images_that_fill_the_memory_go_one_at_a_time(monkeypatch):
    spec,purpose,rooms = Spec(bs=8, iterations=3),partial(generator, Spec()),[]
    step = make_step(load_task('digits'), spec, range(20), purpose)
    big = dict(lbl=torch.empty(1, 2**26, dtype=torch.uint8), lbl_y=torch.zeros(1, 8))
    monkeypatch.setattr(step, 'next', lambda k: setattr(step.lbl, 'i', step.lbl.i+k) or big)
    assert len([*training.Chunks(step, lambda n, room: rooms.append(room) or 1)])==3 and rooms==[1, 1, 1]

# Sums in another order differ in the seventh digit, and an iteration near the first weights multiplies that by about 2: small steps, and few
@pytest.mark.skipif(not compiler('cpu'), reason='no C++ compiler, or no headers of Python')
@pytest.mark.parametrize('kind', ['strong', 'uda', 'joint'])
def test_compiled_is_plain_but_for_the_last_digits(kind, tmp_path, monkeypatch, recwarn):
    kw,res = dict(lr=.001, warmup=0.)|(dict(ll_lr=.001) if kinds[kind][1] else {}),[]
    for o in 'off', 'compile':
        by(o, monkeypatch)
        res.append(trained(kind, tmp_path, 6, **kw))
    (plain,rows),(quick,same_rows) = [(model, res['diagnostics']) for model,res in res]
    assert len([*tmp_path.glob('*.pt')])==2 and not [o for o in recwarn if 'not compiled' in str(o.message)]
    assert 0<gap(plain, quick)<1e-4 and str(rows)==str(same_rows)

def test_chunks_of_scenes_equal_the_plain_loop(tmp_path, drawn, monkeypatch):
    spec = Spec(task=f'masks:{drawn}/images,{drawn}/labels', model='deeplab-18-4', ssl='s4gan', iterations=4, bs=2, bs_unl=2, crop=33)
    res = []
    for o in 'off', 'auto':
        by(o, monkeypatch)
        task = load_task(spec.task).at(spec, tmp_path/o)
        res.append(train(task, spec, range(4), root=tmp_path/o))
    same(*res)
    assert res[0][1]['diagnostics']

@pytest.mark.skipif(not compiler('cpu'), reason='no C++ compiler, or no headers of Python')
def test_members_share_what_was_compiled(tmp_path, monkeypatch):
    from torch._dynamo.utils import counters
    by('compile', monkeypatch)
    task,spec = load_task('digits'),Spec(iterations=2, bs=8)
    go = lambda m: train(task, spec, range(20), 0, m, tmp_path)
    go(0)
    counters.clear()
    together([partial(go, m) for m in (1, 2)], 2)
    assert not counters['stats']

@pytest.mark.parametrize('lack', ['compiler', 'headers'])
def test_without_a_compiler_the_plain_arithmetic_runs(lack, tmp_path, monkeypatch):
    a = trained('joint', tmp_path/'a', 6)
    by('compile', monkeypatch)
    if lack=='compiler': monkeypatch.setenv('CXX', 'no-such-compiler')
    else: monkeypatch.setattr(fast.sysconfig, 'get_path', lambda name: str(tmp_path))
    assert not compiler('cpu') and path_for('cpu')=='chunks'
    same(a, trained('joint', tmp_path/'b', 6))

# chkstyle: ignore-node
broken = """
import os, sys, warnings, torch
from deep_al_illusions.core import Spec, digest
from deep_al_illusions.data import load_task
from deep_al_illusions.train import train
torch.set_num_threads(1)
res = []
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter('always')
    for o in 'off', 'compile':
        os.environ['DAL_FAST'] = o
        res.append(train(load_task('digits'), Spec(iterations=4, bs=8), range(20))[0].state_dict())
for o in said: print(o.message)
print(max((a.double()-b.double()).abs().max().item() for a,b in zip(*[o.values() for o in res])))
"""

def test_a_broken_compiler_is_told_and_the_training_goes_on(tmp_path):
    cxx = tmp_path/'c++'
    cxx.write_text('#!/bin/sh\nexit 1\n')
    cxx.chmod(0o755)
    env = os.environ|dict(CXX=str(cxx), TORCHINDUCTOR_CACHE_DIR=str(tmp_path/'cache'))
    r = subprocess.run([sys.executable, '-c', broken], capture_output=True, text=True, env=env)
    *said,off = r.stdout.splitlines()
    said = [o for o in said if 'compiled' in o]
    assert len(said)==1 and said[0].startswith('not compiled: ') and said[0].endswith('set fast=off to silence this')
    assert float(off)==0

class OnDevice(TorchDispatchMode):
    "Every tensor that an operation reads or makes must be on one device; the fused update, which has no fake kernel, is left at that"
    def __init__(self, device):
        super().__init__()
        self.device,self.names = device,[]
    def __torch_dispatch__(self, f, types, args=(), kwargs=None):
        self.names.append(f.overloadpacket.__name__)
        out = None if self.names[-1]=='_fused_sgd_' else f(*args, **(kwargs or {}))
        odd = {str(o.device) for o in tree_leaves((args, kwargs, out)) if isinstance(o, torch.Tensor) and o.device.type!=self.device}
        if odd: raise RuntimeError(f'{f} on {", ".join(odd)}')
        return out

def mocked(model, mode, device):
    "Parameters and buffers become fake tensors on `device`"
    for m in model.modules():
        for d in m._parameters, m._buffers:
            for k,o in [(k, o) for k,o in d.items() if o is not None]:
                f = mode.from_tensor(o.detach())
                with mode: d[k] = torch.nn.Parameter(f.to(device)) if isinstance(o, torch.nn.Parameter) else f.to(device)

def fake_run(kind, monkeypatch, change=lambda step: None, device='meta'):
    "Two iterations on fake tensors; the names of the operations"
    monkeypatch.setattr(sys.modules['torch.optim.optimizer'], '_get_fused_kernels_supported_devices', lambda: [device])
    spec,task = Spec(iterations=6, **kinds[kind][0]),load_task('digits')
    purpose,mode = partial(generator, spec),FakeTensorMode()
    step,model = make_step(task, spec, range(20), purpose, kinds[kind][1]),new_model(task, spec, purpose, kinds[kind][1])
    b = {k: mode.from_tensor(o) for k,o in step.views(step.next(2), step.gens).items()}
    mocked(model, mode, device)
    change(step)
    with mode:
        b = {k: o.to(device) for k,o in b.items()}
        step.start(model)
        opt = torch.optim.SGD([dict(params=o) for _,o in groups(model, spec)], .1, .9, nesterov=True, weight_decay=5e-4, fused=True)
        rates = torch.empty(2, len(opt.param_groups), device=device)
        with OnDevice(device) as seen: res = Engine(step.total, model, opt, step.after)(b, [*rates])
    assert {*res}=={*step.keeps} and {o.device.type for o in res.values()}<={device}
    return seen.names

@pytest.mark.parametrize('kind', kinds)
def test_an_iteration_can_be_captured(kind, monkeypatch):
    names = fake_run(kind, monkeypatch)
    assert names.count('_fused_sgd_')==2*(2 if kinds[kind][1] else 1) and 'convolution_backward' in names
    assert ('lerp_' in names)==('ema' in kinds[kind][0])

# chkstyle: ignore-node
mistakes = {
    'asks for a number': (lambda z: z.sum().item(), 'local_scalar_dense'),
    'asks which': (lambda z: z[z>0].sum(), 'index|nonzero'),
    'decides': (lambda z: 1 if z.sum()>0 else 2, 'local_scalar_dense'),
    'mixes devices': (lambda z: (z+torch.zeros(10)).sum(), 'device|cpu'),
    'copies from the host': (lambda z: torch.tensor(2.).to(z.device), 'cpu')}

@pytest.mark.parametrize('mistake', mistakes)
def test_what_cannot_be_captured_is_found(mistake, monkeypatch):
    f,words = mistakes[mistake]
    def change(step): monkeypatch.setattr(step.task, 'loss', lambda z, y: F.cross_entropy(z, y)+0*f(z), raising=False)
    with pytest.raises(Exception, match=words): fake_run('uda', monkeypatch, change)

@pytest.fixture
def dice(monkeypatch):
    "Random numbers without numbers, on a device that is not there"
    monkeypatch.setattr(augment, '_ints', lambda lo, hi, shape, g: torch.randint(lo, hi, shape, device=g.device))
    monkeypatch.setattr(augment, '_unif', lambda shape, g: torch.rand(shape, device=g.device))
    return SimpleNamespace(device=torch.device('cuda', 0))

def on_fakes(policy, mode, device, size):
    "The tables of a policy, which are made once"
    cpu = [policy.ids, policy.p], vars(policy.tables(size, 'cpu'))
    fakes = tree_map_only(torch.Tensor, mode.from_tensor, cpu)
    with mode: (draws,tables) = tree_map_only(torch.Tensor, lambda o: o.to(device), fakes)
    policy._at |= {device: draws, (size, device): SimpleNamespace(**tables)}

def test_views_on_a_gpu_ask_for_nothing(dice):
    mode,chain = FakeTensorMode(),strong(load_task('digits'))
    on_fakes(chain[0], mode, dice.device, (8, 8))
    with mode:
        x = torch.empty(3, 4, 3, 8, 8, dtype=torch.uint8, device=dice.device)
        with OnDevice('cuda') as seen: v = views([chain, chain], x, dice)
        assert [(o.shape, o.dtype, o.device) for o in v]==[(x.shape, x.dtype, x.device)]*2 and len(seen.names)>100
        with pytest.raises(Exception, match='bincount|tolist|scalar|Dynamic'): chain[0].apply(x[0], chain[0].draw(x[0].shape, dice), dense=False)
