"Check and time the classification loop on a GPU: python benchmarks/gpu.py cifar10.npz [runs folder] [device]"
import sys,time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd, torch

from deep_al_illusions.core import Spec, generator
from deep_al_illusions.data import load_task
from deep_al_illusions.loop import load_runs, run
from deep_al_illusions.models import build, predict
from deep_al_illusions.train import Batches, learner

def agreement(device):
    "Largest difference between the logits of the same model on CPU and GPU, in float32 and bfloat16"
    task = load_task('digits')
    model = build('wrn-28-2', task, generator(Spec(), 'weights'))
    ref = torch.cat([z for z,_ in predict(model, task.x_test)])
    for p in 'fp32','bf16':
        z = torch.cat([z.cpu() for z,_ in predict(model.to(device), task.x_test, precision=p)])
        print(f'{p}: |logits| up to {ref.abs().max():.2f}, difference from the CPU up to {(z-ref).abs().max():.2g}')

def speed(task, device, n=300):
    "Milliseconds a supervised iteration through our Learner, and images a second of scoring; medians of 3"
    sync = torch.cuda.synchronize if device=='cuda' else lambda: None
    for p in 'fp32','bf16':
        spec = Spec(scale='paper', device=device, precision=p)
        model = build('wrn-28-2', task, generator(spec, 'weights')).to(device)
        step,score = [],[]
        for i in range(4):
            b = Batches(task.x_train, task.y_train, torch.arange(min(5000, len(task.y_train))), 64, n, generator(spec, 'batches'), device)
            start = time.perf_counter()
            learner(model, b, spec).fit(1)
            sync()
            step.append((time.perf_counter()-start)/n*1e3)
            start = time.perf_counter()
            for z,_ in predict(model, task.x_train, bs=2000, precision=p): z.argmax(1)
            sync()
            score.append(len(task.x_train)/(time.perf_counter()-start))
        print(f'{p}: {sorted(step[1:])[1]:.2f} ms a supervised iteration of 64, {sorted(score[1:])[1]:,.0f} images a second scored')

def main(path, root='runs-gpu', device='cuda'):
    if device=='cuda' and not torch.cuda.is_available(): sys.exit('no GPU here; for a dry run add: runs-cpu cpu')
    task = load_task(f'npz:{path}')
    print(torch.cuda.get_device_name() if device=='cuda' else 'cpu', torch.__version__, task)
    agreement(device)
    speed(task.to(device), device, *([] if device=='cuda' else [2]))
    extra = {} if device=='cuda' else dict(model='wrn-10-1', epochs=1, initial=8, per_cycle=8, cycles=1)
    specs = [Spec(task=f'npz:{path}', scale='paper', device=device, precision='bf16', strategy=s, **extra) for s in ('random', 'entropy', 'margin')]
    start = time.time()
    with ProcessPoolExecutor(3, get_context('spawn')) as ex: [*ex.map(run, specs, [Path(root)]*3)]
    cycles,_ = load_runs(root)
    print(cycles.pivot_table(index='units', columns='strategy', values='score').mul(100).round(2).to_string())
    print(pd.Series(dict(wall_s=time.time()-start, train_s=cycles.train_s.sum(), score_s=cycles.score_s.sum())).round(1).to_string())

if __name__=='__main__': main(*sys.argv[1:]) if len(sys.argv)>1 else sys.exit(__doc__)
