"""Time and peak memory of k-center greedy (Core-set): python benchmarks/core_set.py

Buys 2,500 of 45,000 embeddings of width 128 beside 5,000 labelled ones (10 clusters, after a ReLU) with our function, with the plain
float32 loop (a matrix-vector product a pick) and, where it can be imported, with scikit-activeml's CoreSet; then 2,500 of a pool of
1,000,000 with ours. Each row is three processes on two threads: the fastest time, the highest memory. `pip install scikit-activeml`
adds its row."""
import importlib.util,os,re,subprocess,sys,time
from pathlib import Path

import torch

def embs(n, seed=0, d=128):
    "n x d, float32: clusters after a ReLU, made in chunks so that the peak is the array itself"
    g,x = torch.Generator().manual_seed(seed),torch.empty(n, d)
    cen = torch.randn(10, d, generator=g)*1.5
    for o in x.split(10_000): o.copy_((cen[torch.randint(10, (len(o),), generator=g)]+torch.randn(len(o), d, generator=g)).relu())
    return x

def peak():
    "Peak resident memory of this process so far, MiB (Linux)"
    return int(re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1])/2**10

def ours(x, m, k):
    from deep_al_illusions.choose.core_set import k_center_greedy
    return lambda: k_center_greedy(x[m:], x[:m], k)

def plain(x, m, k):
    "Float32 throughout, |a|^2+|b|^2-2ab: the loop that most code bases have"
    def _plain():
        x_,lab,pos = x[m:],x[:m],[]
        sq,d = x_.square().sum(1),x_.new_empty(len(x_))
        for e,o in zip(d.split(1024), x_.split(1024)): torch.amin(torch.addmm(lab.square().sum(1), o, lab.T, alpha=-2), 1, out=e)
        d.add_(sq).clamp_(min=0)
        for _ in range(k):
            pos.append(int(d.argmax()))
            c = x_[pos[-1]]
            torch.minimum(d, torch.addmv(sq, x_, c, alpha=-2).add_(c.dot(c)).clamp_(min=0), out=d)
            d[pos] = -1
        return torch.tensor(pos)
    return _plain

def skactiveml(x, m, k):
    import numpy as np
    from skactiveml.pool import CoreSet
    x,y = x.numpy(),np.full(len(x), np.nan)
    y[:m] = 0
    return lambda: torch.from_numpy(CoreSet(random_state=0).query(x, y, batch_size=k))-m

def row(name, n, m, k):
    "One measurement: seconds, MiB beyond what the process held before, MiB in all, and the picks"
    torch.set_num_threads(2)
    globals()[name](embs(600), 100, 5)() # imports and thread pools
    f = globals()[name](embs(n+m), m, k)
    before,start = peak(),time.perf_counter()
    pos = f()
    secs = time.perf_counter()-start
    print(secs, peak()-before, peak(), *pos.tolist())

def main():
    print('| function | pool | labelled | picks | seconds | MiB over its input | MiB, whole process |')
    print('| --- | --: | --: | --: | --: | --: | --: |')
    env,picks = os.environ|{f'{o}_NUM_THREADS': '2' for o in ('OMP', 'MKL', 'OPENBLAS')},{}
    task,found = ('45000', '5000', '2500'),importlib.util.find_spec('skactiveml')
    for name,*a in ['ours', *task],['plain', *task],*([['skactiveml', *task]] if found else []),['ours', '1000000', '5000', '2500']:
        cmd = [sys.executable, __file__, name, *a]
        res = [subprocess.run(cmd, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout.split() for _ in range(3)]
        secs,extra,total = (f([float(r[i]) for r in res]) for i,f in enumerate((min, max, max)))
        print(f'| {name} |', ' | '.join(f'{int(o):,}' for o in a), f'| {secs:.1f} | {extra:,.0f} | {total:,.0f} |', flush=True)
        picks.setdefault(name, res[0][3:])
    for o in picks.keys()-{'ours'}: print(f'\n{o}: {len({*picks[o]} & {*picks["ours"]}):,} of its {len(picks[o]):,} picks are among ours')
    if not found: print('\nscikit-activeml is not installed; `pip install scikit-activeml` adds its row')

if __name__=='__main__': row(sys.argv[1], *map(int, sys.argv[2:])) if len(sys.argv)>1 else main()
