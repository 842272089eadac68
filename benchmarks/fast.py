"""How fast trainings are, against a plain loop in torch and against the machine: python benchmarks/fast.py [cifar10.npz]

Prints markdown. Each variant is a process of its own that warms up, and then all take turns; numbers are medians.
Where others use the machine, loops of several threads wait for each other; compare *by the fastest* then. On a GPU it
measures the networks of the paper, on a CPU those of the pocket scale; the last table says which rows were not measured, and why.
Without a file the images are noise in the shape of CIFAR-10."""
import argparse,os,sys,tempfile,warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch

from common import limits,turns,work
from loops import augmenting,data,ours,plain,purposes,scoring,stacked

from deep_al_illusions.study.spec import Spec
from deep_al_illusions.learn.fast import at_once,compiler,path_for
from deep_al_illusions.learn.train import new_model

no_gpu,on_cpu,left_out = 'not measured: needs a GPU','not measured: for `--device cpu`','not measured: its part was left out'
parts = 'uda supervised augment scoring s4gan grid peers'.split()
targets = dict(uda='at most 4 ms', eager='at least 5 times', supervised='at most 0.6 ms', members='at least 3 times', augment='under 10 %', scoring='under 1 s',
    s4gan='at least 2 times', pocket='at least 1.5 times', grid='at most 40 GPU-hours', memory='under 8 GB')
whats = dict(uda='UDA iteration, WRN-28-2, 64 + 2 x 320', eager='the same against the plain loop', supervised='supervised iteration, WRN-28-2, 64',
    members='five members together against in turn', augment='strong augmentation, share of the UDA iteration', scoring='scoring 50,000 images, WRN-28-2',
    s4gan='s4GAN iteration, DeepLabv2 ResNet-101, 321 x 321, 8', pocket='pocket UDA iteration, two trainings on two cores', grid='classification grid of the paper',
    memory='GPU memory of a UDA training, CIFAR on the device')
in_part = dict(eager='uda', memory='uda', pocket='uda', members='supervised')

def table(*rows):
    "Rows as markdown; the first is the head"
    for i,r in enumerate(rows):
        print(f'| {" | ".join(r)} |')
        if not i: print(f'|{" --- |"*len(r)}')
    print(flush=True)

def ways(title, res, base, unit='ms an iteration'):
    "Every way that was measured; a failed one says why"
    print(f'### {title}\n')
    ms = getattr(res[base], 'ms', None)
    rows = [[k, f'not measured: {o}', '', '', ''] if isinstance(o, str) else [k, f'{o.ms:#.3g} ({min(o.all):#.3g} to {max(o.all):#.3g})',
        *([f'{ms/o.ms:.2f}', f'{min(res[base].all)/min(o.all):.2f}'] if ms else ['', '']), f'{o.warm_s:.1f}'] for k,o in res.items()]
    table(['way', f'{unit} (range)', f'times as fast as *{base}*', 'by the fastest', 'warm-up, s'], *rows)

def ms_of(res, *names):
    "Medians, or `None` where one of them failed"
    return None if any(isinstance(res[o], str) for o in names) else [res[o].ms for o in names]

class Bench:
    "What to measure, and the rows of the last table so far"
    def __init__(self, a, device):
        self.a,self.device,self.gpu,self.rows,self.found = a,device,device=='cuda',{},[]
        self.name = f'npz:{a.data}' if a.data else 'random' if self.gpu else 'digits'
        kw = dict(scale='paper', task='cifar10', device='cuda', precision='bf16', iterations=50_000) if self.gpu else dict(device='cpu', iterations=50_000)
        if not self.gpu: self.name = 'digits'
        self.spec,self.uda = Spec(**kw),Spec(ssl='uda', **kw)
        self.n_lbl,self.warm,self.n = (250, 100, 200) if self.gpu else (100, 20, 60)
        if a.quick: self.warm,self.n = (60, 200) if self.gpu else (12, 10)
    def meter(self, threads=0, loops=1, warm=None, n=None): return dict(device=self.device, warm=warm or self.warm, n=n or self.n, threads=threads, loops=loops)
    def ours(self, spec, threads=1, loops=1, processes=1, **kw):
        return ours,dict(name=self.name, spec=spec, n_lbl=self.n_lbl, **kw),self.meter(threads, loops),processes
    def plain(self, spec, warm=None, n=None, **kw): return plain,dict(name=self.name, spec=spec, n_lbl=self.n_lbl, **kw),self.meter(warm=warm, n=n)
    def row(self, key, ok, measured, plain='', ratio=''): self.rows[key] = [whats[key], measured, plain, ratio, targets[key], 'yes' if ok else 'no']
    def fraction(self, what, ms, net, rate, **passes):
        "Note how much of the limits an iteration reaches; `passes` are images through the network, with gradients and without"
        flops,values = work(net, data(self.name).x_train.shape[1:])
        n = 3*passes.get('train', 0)+passes.get('score', 0)
        self.found.append((what, ms, n*flops, n*values*(2 if rate=='bf16' else 4), rate))

def net_of(b, spec): return new_model(data(b.name), spec, purposes(spec))

def uda_ways(b):
    "The ways to carry out a UDA iteration"
    fp32,bf16 = (replace(b.uda, precision=o) for o in ('fp32', 'bf16'))
    if b.gpu: return {'plain loop': b.plain(fp32), 'ours, bf16, captured': b.ours(bf16), 'ours, fp32, captured': b.ours(fp32),
        'ours, bf16, compiled': b.ours(bf16, how='compiled'), 'ours, bf16, chunks': b.ours(bf16, how='chunks')}
    res = {'plain loop': b.plain(fp32), 'ours, 1 thread': b.ours(fp32), 'ours, 2 threads': b.ours(fp32, 2), 'ours, two side by side': b.ours(fp32, loops=2),
        'ours, bf16, 1 thread': b.ours(bf16)}
    return res|({f'ours, {o}compiled{w}': b.ours(s, how='compiled', **kw) for o,s in (('', fp32), ('bf16, ', bf16))
        for w,kw in ((', 1 thread', {}), (', two side by side', dict(loops=2)))} if compiler('cpu') else {})

def uda(b):
    res = turns(uda_ways(b), b.a.repeats)
    ways(f'UDA iteration, {b.uda.model}, {b.uda.bs} + 2 x {b.uda.bs_unl}', res, 'plain loop')
    main,seen = 'ours, bf16, captured' if b.gpu else 'ours, two side by side',dict(train=b.uda.bs+b.uda.bs_unl, score=b.uda.bs_unl)
    if isinstance(res[main], str): return
    b.uda_ms,net = res[main].ms,net_of(b, b.uda)
    for k in (main,) if b.gpu else (main, 'ours, 2 threads'):
        if ms := ms_of(res, k): b.fraction(f'UDA iteration, {k}', ms[0], net, 'bf16' if b.gpu else 'fp32', **seen)
    if not (both := ms_of(res, main, 'plain loop')): return
    (ms,base),ratio = both,both[1]/both[0]
    texts = f'{ms:.2f} ms',f'{base:.2f} ms',f'{ratio:.2f}'
    if not b.gpu:
        least = min(res['plain loop'].all)/min(res[main].all)
        return b.row('pocket', min(ratio, least)>=1.5, *texts[:2], f'{ratio:.2f}, by the fastest {least:.2f}')
    (alloc,held),_ = res[main].mb,b.row('uda', ms<=4, *texts)
    b.row('eager', ratio>=5, *texts)
    b.row('memory', held<8*1024, f'{alloc/1024:.2f} GB allocated, {held/1024:.2f} GB reserved')

def supervised_ways(b, k):
    "A supervised iteration alone, and several trainings at a time"
    s,strong = b.spec,replace(b.spec, augment='strong')
    res = {'plain loop': b.plain(replace(s, precision='fp32')), 'ours': b.ours(s), 'ours, strong augmentation': b.ours(strong),
        f'{k} together, threads': b.ours(s, loops=k), f'{k} together, processes': b.ours(s, processes=k)}
    return res|{'5 together, stacked by vmap': (stacked, dict(name=b.name, spec=s, n_lbl=b.n_lbl, members=5), b.meter(n=5*b.n))}

def supervised(b):
    k = 5 if b.gpu else at_once('cpu', 5)
    res = turns(supervised_ways(b, k), b.a.repeats)
    ways(f'Supervised iteration, {b.spec.model}, {b.spec.bs}', {o: r for o,r in res.items() if 'together' not in o}, 'plain loop')
    ways(f'Ways to train five members, {k} at a time; an iteration is one of one member', {o: r for o,r in res.items() if o=='ours' or 'together' in o}, 'ours')
    if not b.gpu or not (all := ms_of(res, 'ours', 'plain loop', f'{k} together, threads')): return
    ms,base,beside = all
    b.row('supervised', ms<=.6, f'{ms:.3f} ms', f'{base:.3f} ms', f'{base/ms:.2f}')
    b.row('members', ms/beside>=3, f'{5*beside:.3f} ms for five iterations', f'{5*ms:.3f} ms in turn', f'{ms/beside:.2f}')
    b.fraction('supervised iteration', ms, net_of(b, b.spec), 'bf16', train=b.spec.bs)

def augment(b):
    "On the device; the UDA iteration is measured anew where its part was left out"
    variants = dict(views=(augmenting, dict(name=b.name, spec=b.uda), b.meter(1)))
    if not hasattr(b, 'uda_ms'): variants['UDA iteration'] = b.ours(b.uda)
    res = turns(variants, b.a.repeats)
    if failed := [o for o in res.values() if isinstance(o, str)]: return print('augmentation failed:', *failed, '\n')
    whole = getattr(b, 'uda_ms', None) or res['UDA iteration'].ms
    ms,share = res['views'].ms,res['views'].ms/whole
    print(f'Strong views of {b.uda.bs_unl} images: {ms:.3f} ms, {share:.1%} of an iteration of {whole:.2f} ms\n')
    if b.gpu: b.row('augment', share<.1, f'{share:.1%}, {ms:.3f} ms')

def score(b):
    n = 50_000 if b.gpu else 200 if b.a.quick else 2000
    spec,name = Spec(scale='paper', task='cifar10', device=b.device, precision='bf16' if b.gpu else 'fp32'),b.name if b.gpu else 'random'
    make = lambda eager, p: (scoring, dict(name=name, spec=replace(spec, precision=p), n=n, eager=eager), b.meter(0 if eager or b.gpu else 2, warm=1, n=1))
    res = turns({'plain loop': make(True, 'fp32'), 'ours': make(False, spec.precision)}, b.a.repeats)
    ways(f'Scoring {n:,} images, {spec.model}', res, 'plain loop', 'ms')
    if not (both := ms_of(res, 'ours', 'plain loop')): return
    ms,base = both
    print(f'{n/ms*1e3:,.0f} images a second\n')
    b.fraction(f'scoring {n:,} images', ms, net_of(SimpleNamespace(name=name), spec), spec.precision, score=n)
    if b.gpu: b.row('scoring', ms<1000, f'{ms/1e3:.2f} s', f'{base/1e3:.2f} s', f'{base/ms:.2f}')

def s4gan(b, **kw):
    "Random scenes in the layout of PASCAL VOC stand in for it"
    if not b.gpu and not kw: return
    from deep_al_illusions.segment.files import write_voc
    with tempfile.TemporaryDirectory() as d:
        name = f'voc:{write_voc(Path(d)/"VOCdevkit", 40, 4, size=500)}'
        spec = Spec(**dict(task=name, scale='paper', ssl='s4gan', initial=.5, per_cycle=.1, cycles=1, device=b.device, iterations=10_000)|kw)
        meter,args = b.meter(warm=10, n=20) if b.gpu else b.meter(warm=1, n=1),dict(name=name, n_lbl=20)
        res = turns({'plain loop': (ours, args|dict(spec=replace(spec, precision='fp32'), how='plain', contiguous=True), meter), 'ours': (ours, args|dict(spec=spec), meter)}, b.a.repeats)
    ways(f's4GAN iteration, {spec.model}, {spec.crop} x {spec.crop}, {spec.bs} + {spec.bs_unl} + {spec.bs}', res, 'plain loop')
    if not (both := ms_of(res, 'ours', 'plain loop')) or not b.gpu: return
    b.row('s4gan', both[1]/both[0]>=2, f'{both[0]:.1f} ms', f'{both[1]:.1f} ms', f'{both[1]/both[0]:.2f}')

def grid(b):
    "Figures 1 to 9 by `dal estimate`; ImageNet's weights and CIFAR-100 cost what random weights and CIFAR-10 do"
    if not b.gpu: return
    if not b.a.data: return b.rows.update(grid=[whats['grid'], 'not measured: give cifar10.npz', '', '', targets['grid'], 'not measured'])
    from deep_al_illusions.many.estimate import estimate
    from deep_al_illusions.many.presets import figures,runs_of
    with tempfile.TemporaryDirectory() as d:
        files = {o: Path(d)/f'{o}.npz' for o in ('cifar10', 'cifar100')}
        for o in files.values(): o.symlink_to(Path(b.a.data).absolute())
        known = [s for f in figures for s in runs_of(f, 'paper')]
        specs = [replace(s, task=f'npz:{files[s.task]}', init='random', device='cuda', precision='bf16') for s in known]
        guess = estimate([*dict.fromkeys(specs)], b.a.workers, root=Path(d)/'runs')
        print(f'### Figures 1 to 9 at paper scale\n\n```\n{guess}\n```\n')
    b.row('grid', guess.wall_s<=40*3600, f'{guess.wall_s/3600:.1f} GPU-hours, {b.a.workers} runs at a time')

def peers(b):
    "The same UDA iteration fed by others"
    from peers import semilearn_step,why_not
    fp32 = replace(b.uda, precision='fp32')
    variants = {'plain loop': b.plain(fp32), 'ours': b.ours(b.uda)}|({} if b.gpu else {'ours, two side by side': b.ours(b.uda, loops=2)})
    variants |= {'plain loop, torchvision on PIL images': b.plain(fp32, 5, 10, pil=True)}
    if not (why := why_not()): variants['semilearn'] = semilearn_step,dict(name=b.name, spec=fp32, n_lbl=b.n_lbl),b.meter()
    res = turns(variants, b.a.repeats)
    ways('UDA iteration, peers', res|({'semilearn': why} if why else {}), 'plain loop')

def reached(b, m):
    "What part of the limits of the machine was reached"
    rows = [[what, f'{ms:.3g}', f'{flops/1e9:.3g}', f'{flops/ms*1e3/getattr(m, rate):.1%} of {rate}', f'{size/2**20:,.0f}', f'{size/ms*1e3/m.copy:.1%}'] for what,ms,flops,size,rate in b.found]
    if not rows: return
    print('### What the machine could do\n\nOperations of convolutions and linear layers, thrice for images with gradients; bytes that the convolutions alone read and write.\n')
    table(['what', 'ms', 'GFLOP', 'of the matrix rate', 'MB', 'of the copy bandwidth'], *rows)

def summary(b):
    "The table of targets; every row says whether it was measured"
    print('### Targets\n')
    rows = []
    for k in whats:
        why = on_cpu if b.gpu and k=='pocket' else no_gpu if not b.gpu and k!='pocket' else left_out if in_part.get(k, k) not in b.a.parts else 'not measured: failed'
        rows.append(b.rows.get(k) or [whats[k], why, '', '', targets[k], 'not measured'])
    table(['what', 'measured', 'plain torch loop', 'ratio', 'target', 'met'], *rows)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data', nargs='?', help='CIFAR-10 as .npz: x_train, y_train, x_test, y_test')
    p.add_argument('--device', choices=['auto', 'cpu', 'cuda'], default='auto')
    p.add_argument('--parts', nargs='+', choices=parts, default=parts, help='default: all')
    p.add_argument('--repeats', type=int, default=5, help='stretches of each variant (default: 5; more where others use the machine)')
    p.add_argument('--workers', type=int, default=4, help='of the grid: runs at a time on the GPU (default: 4)')
    p.add_argument('--quick', action='store_true', help='short stretches, to see that the script works')
    a = p.parse_args()
    device = ('cuda' if torch.cuda.is_available() else 'cpu') if a.device=='auto' else a.device
    if device=='cuda' and not torch.cuda.is_available(): sys.exit('no GPU here; without --device cuda the pocket scale is measured on the CPU')
    if a.data and not Path(a.data).is_file(): sys.exit(f'no file {a.data}')
    if a.repeats<1: sys.exit('--repeats must be at least 1')
    return a,device

def main():
    a,device = arguments()
    warnings.filterwarnings('ignore', r'.*jit.*', FutureWarning)
    name = torch.cuda.get_device_name() if device=='cuda' else f'{os.cpu_count()} CPU cores'
    m,b = limits(device, a.quick),Bench(a, device)
    print(f'## {name}, torch {torch.__version__}, {torch.get_num_threads()} threads by default, load {os.getloadavg()[0]:.1f} before\n')
    table(['copy, GB/s', 'float32, TFLOP/s', 'bfloat16, TFLOP/s'], [f'{m.copy/1e9:,.1f}', f'{m.fp32/1e12:.3g}', f'{m.bf16/1e12:.3g}'])
    print(f'*Plain loop*: eager float32 with contiguous images, default threads and SGD, a forward pass each; its augmentation is ours, in batches on the device. Data: {b.name}. *Ours*: `how={path_for(device)}` unless named.\n')
    for k in a.parts: dict(uda=uda, supervised=supervised, augment=augment, scoring=score, s4gan=s4gan, grid=grid, peers=peers)[k](b)
    reached(b, m)
    summary(b)

if __name__=='__main__': main()
