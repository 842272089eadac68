"Check and train on a GPU: python benchmarks/gpu.py cifar10.npz; what is stopped goes on when the same command is given again"
import argparse,sys,time,warnings
from concurrent.futures import ProcessPoolExecutor,as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import torch

from deep_al_illusions.tasks.augment import augments
from deep_al_illusions.study.files import atomic
from deep_al_illusions.study.spec import generator,Spec
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.loop.loop import run
from deep_al_illusions.loop.runs import load_runs
from deep_al_illusions.learn.models import build,predict

ways = dict(none=dict(augment='strong'), uda=dict(ssl='uda'))
columns = 'strategy ssl augment trial cycle units score loss train_s score_s eval_s model iterations epochs bs bs_unl precision device run'.split()
results = Path(__file__).parent.parent/'docs'/'results'/'cifar10.csv'

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

def runs_of(a):
    "Random, Entropy, SSL-Random and SSL-Entropy on the low budget, first trials first"
    kw = dict(task=f'npz:{a.data}', scale='paper', budget='low', device=a.device, model=a.model, cycles=a.cycles, bs=a.bs)
    short = dict(none=dict(iterations=a.iterations) if a.device=='cpu' else {}, uda=dict(iterations=a.iterations, bs_unl=a.bs_unl))
    arms = product(range(1, a.trials+1), ways, ('random', 'entropy'))
    return [Spec(**kw|ways[ssl]|short[ssl]|dict(strategy=s, trial=t)) for t,ssl,s in arms]

def table(a):
    "A row a training of the runs that are finished; written where that was asked for, or is of a GPU"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        cycles,_ = load_runs(a.runs)
    cycles = cycles[cycles.device==a.device] if len(cycles) else cycles
    if not len(cycles) or not (out := a.out or (results if a.device=='cuda' else None)): return cycles
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic(out) as p: cycles[columns].to_csv(p, index=False, float_format='%.6g')
    return cycles

def real(a):
    "The runs, some at a time; the table grows with each that ends"
    with ProcessPoolExecutor(a.at_once, get_context('spawn')) as ex:
        for job in as_completed([ex.submit(run, s, a.runs) for s in runs_of(a)]):
            print(job.result().name, 'done', flush=True)
            table(a)
    cycles = table(a)
    err = cycles.assign(error=100-100*cycles.score).groupby(['ssl', 'strategy', 'units']).error.agg(['mean', 'std', 'count'])
    print(err.round(2).unstack('units').swaplevel(axis=1).sort_index(axis=1, level=0, sort_remaining=False).T.to_string())
    print('first author, error in percent: supervised 14.3 at 4,000 labels; UDA 11 at 250, 7.8 at 1,000 after 100,000 iterations')

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument('data', help='CIFAR-10 as .npz: x_train, y_train, x_test, y_test')
    p.add_argument('--runs', type=Path, default=Path('runs-gpu'), help='folder of run folders')
    p.add_argument('--parts', nargs='+', choices=['agreement', 'real'], default=['agreement', 'real'], help='which of the two')
    p.add_argument('--cycles', type=int, default=7, help='purchases of 250 labels')
    p.add_argument('--trials', type=int, default=3, help='first sets')
    p.add_argument('--iterations', type=int, default=50_000, help='of a UDA training; without a GPU of every training')
    p.add_argument('--at-once', type=int, default=4, help='runs side by side')
    p.add_argument('--out', type=Path, help=f'table of the results; on a GPU {results.relative_to(results.parents[2])} where left out')
    for k,v in dict(device='cuda', model='wrn-28-2', bs=64, bs_unl=320).items(): p.add_argument(f'--{k.replace("_", "-")}', type=type(v), default=v, help=' ')
    return p.parse_args()

def main():
    a = arguments()
    if a.device=='cuda' and not torch.cuda.is_available():
        sys.exit('no GPU here; a dry run: --device cpu --model wrn-10-1 --iterations 2 --bs 8 --bs-unl 16 --cycles 1 --trials 1 --runs FOLDER')
    print(torch.cuda.get_device_name() if a.device=='cuda' else 'cpu', torch.__version__, load_task(f'npz:{a.data}'))
    if 'agreement' in a.parts: agreement(a.device)
    start = time.time()
    if 'real' in a.parts: real(a)
    print(f'{time.time()-start:.0f} s')

if __name__=='__main__': main()
