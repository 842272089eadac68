"Check, time and train on a GPU; what is stopped goes on when the same command is given again"
import argparse,sys,time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd, torch

from deep_al_illusions.augment import augments
from deep_al_illusions.core import Spec, generator
from deep_al_illusions.data import load_task
from deep_al_illusions.loop import load_runs, run
from deep_al_illusions.models import build, predict
from deep_al_illusions.train import Batches, learner, regimes

def agreement(device):
    "Largest difference between the logits of the same model, and between the strong views of the same images, on CPU and GPU"
    task = load_task('digits')
    model,x = build('wrn-28-2', task, generator(Spec(), 'weights')),task.x_test
    ref = torch.cat([z for z,_ in predict(model, x)])
    for p in 'fp32','bf16':
        z = torch.cat([z.cpu() for z,_ in predict(model.to(device), x, precision=p)])
        print(f'{p}: |logits| up to {ref.abs().max():.2f}, difference from the CPU up to {(z-ref).abs().max():.2g}')
    a,b = [augments['strong'](task)(x.to(o), generator(Spec(), 'views')).cpu() for o in ('cpu', device)]
    print(f'strong views: {(a!=b).sum()} of {a.numel()} values differ from the CPU')

def timed(f, n, sync):
    "Seconds of one call, median of 3 rows of `n` calls after a warm-up"
    secs = []
    for i in range(4):
        start = time.perf_counter()
        for _ in range(n if i else 1): f()
        sync()
        secs.append((time.perf_counter()-start)/n)
    return sorted(secs[1:])[1]

def speed(task, device, n, bs, bs_unl, model):
    "Images a second augmented and scored, milliseconds a supervised and a UDA iteration through our Learner"
    sync = torch.cuda.synchronize if device=='cuda' else lambda: None
    strong,g = augments['strong'](task),torch.Generator(device).manual_seed(0)
    for b in bs_unl,4096: print(f'strong views, {b} at a time: {b/timed(lambda: strong(task.x_train[:b], g), 20, sync):,.0f} images a second')
    for p in 'fp32','bf16':
        for ssl in 'none','uda':
            spec = Spec(scale='paper', device=device, precision=p, ssl=ssl, bs=bs, model=model, iterations=n, **(dict(bs_unl=bs_unl) if ssl=='uda' else {}))
            def train():
                b = Batches(task.x_train, task.y_train, torch.arange(min(4000, len(task.y_train))), bs, n, generator(spec, 'batches'), device)
                cbs = [regimes[ssl](task, spec, b, lambda o: generator(spec, o))] if ssl!='none' else []
                learner(build(model, task, generator(spec, 'weights')), b, spec, cbs).fit(1)
            print(f'{p}, ssl {ssl}: {timed(train, 1, sync)/n*1e3:.2f} ms an iteration')
        net = build(model, task, generator(spec, 'weights')).to(device)
        secs = timed(lambda: [z.argmax(1) for z,_ in predict(net, task.x_train, bs=2000, precision=p)], 1, sync)
        print(f'{p}: {len(task.x_train)/secs:,.0f} images a second scored')

def real(a):
    "The first author's own numbers: supervised with augmentation at 4,000 labels, SSL-Random at 250, 1,000 and 4,000"
    kw = dict(task=f'npz:{a.data}', scale='paper', device=a.device, precision='bf16', cycles=0, model=a.model)
    specs = [Spec(augment='strong', initial=4000, **kw | (dict(iterations=a.iterations) if a.device=='cpu' else {}))]
    specs += [Spec(ssl='uda', initial=n, iterations=a.iterations, bs=a.bs, bs_unl=a.bs_unl, **kw) for n in (250, 1000, 4000)]
    with ProcessPoolExecutor(a.at_once, get_context('spawn')) as ex: [*ex.map(run, specs, [a.runs]*len(specs))]
    cycles,_ = load_runs(a.runs)
    err = cycles.assign(error=(100-100*cycles.score).round(2))
    print(err[['ssl', 'augment', 'units', 'iterations', 'error', 'train_s']].sort_values(['ssl', 'units']).to_string(index=False))
    print('first author: supervised 14.3 % error at 4,000 labels; UDA 11, 7.8 and 6.1 % at 250, 1,000 and 4,000 after 100,000 iterations')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument('data', help='CIFAR-10 as .npz: x_train, y_train, x_test, y_test')
    p.add_argument('--runs', type=Path, default=Path('runs-gpu'), help='folder of run folders')
    p.add_argument('--parts', default='agreement,speed,real', help='which of the three')
    p.add_argument('--iterations', type=int, default=50_000, help='of a UDA training')
    p.add_argument('--at-once', type=int, default=4, help='trainings side by side')
    for k,v in dict(device='cuda', model='wrn-28-2', bs=64, bs_unl=320, n=200).items(): p.add_argument(f'--{k.replace("_", "-")}', type=type(v), default=v, help=' ')
    a = p.parse_args()
    if a.device=='cuda' and not torch.cuda.is_available(): sys.exit('no GPU here; a dry run: --device cpu --model wrn-10-1 --iterations 2 --bs 8 --bs-unl 16 --n 2')
    task = load_task(f'npz:{a.data}')
    print(torch.cuda.get_device_name() if a.device=='cuda' else 'cpu', torch.__version__, task)
    if 'agreement' in a.parts: agreement(a.device)
    if 'speed' in a.parts: speed(task.to(a.device), a.device, a.n, a.bs, a.bs_unl, a.model)
    start = time.time()
    if 'real' in a.parts: real(a)
    print(pd.Series(dict(wall_s=time.time()-start)).round(1).to_string())

if __name__=='__main__': main()
