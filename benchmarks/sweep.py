"What a sweep costs besides its trainings, what a second worker gains, and whether dal estimate is right: python benchmarks/sweep.py [PRESET]"
import argparse,os,subprocess,sys,tempfile,time
from pathlib import Path
from statistics import median

import pandas as pd, yaml

from deep_al_illusions.study.spec import run_id,Spec
from deep_al_illusions.many.estimate import estimate
from deep_al_illusions.many.presets import runs_of
from deep_al_illusions.many.kernels import execute_run

parts = 'overhead speedup again estimate'.split()
quick = dict(iterations=5, cycles=0)

def sweep(grid, root, workers, scale='pocket'):
    "Seconds of `dal sweep`, as a command"
    start = time.perf_counter()
    subprocess.run([Path(sys.executable).parent/'dal', 'sweep', str(grid), '--scale', scale, '--workers', str(workers), '--runs', str(root)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter()-start

def trained(root):
    "Seconds of training and evaluation of the runs in `root`"
    return sum(pd.read_csv(o)[['train_s', 'eval_s']].to_numpy().sum() for o in Path(root).glob('*/cycles.csv'))

def overhead(root, n):
    "A run of one iteration without its training, in a process that has imported the package as a worker has, and through the command"
    secs = []
    for t in range(1, n+1):
        start,s = time.perf_counter(),Spec(cycles=0, iterations=1, trial=t)
        if why := execute_run(s, root/str(t)): sys.exit(f'{run_id(s)}: {why}')
        secs.append(time.perf_counter()-start-trained(root/str(t)))
    (root/'one.yaml').write_text(yaml.safe_dump(dict(cycles=0, iterations=1)))
    whole = sweep(root/'one.yaml', root/'command', 1)-trained(root/'command')
    yield 'a run without its training, in a worker',f'{median(secs):.1f} s','under 12 s'
    yield 'dal sweep of one such run, from the command line',f'{whole:.1f} s',''

def speedup(root, few, again):
    "Twelve runs on one worker and on two, and once more"
    grid = dict(strategy=['random', 'entropy', 'core_set'], ssl=['none', 'uda'], trial=[1, 2], cycles=2)|(quick|dict(strategy='random') if few else {})
    (root/'grid.yaml').write_text(yaml.safe_dump(grid))
    n,secs = len(runs_of(root/'grid.yaml')),{k: sweep(root/'grid.yaml', root/str(k), k) for k in (1, 2)}
    yield f'{n} runs on 1 worker, on 2 workers',f'{secs[1]:.0f} s, {secs[2]:.0f} s, {secs[1]/secs[2]:.2f} times as fast','at least 1.7 times'
    if again: yield 'the same command when all is finished',f'{sweep(root/"grid.yaml", root/"2", 2):.1f} s','under 10 s'

def right(root, grid, scale, workers):
    "`dal estimate` against the clock"
    start = time.perf_counter()
    guess = estimate(runs_of(grid, scale), workers, root=root/'estimated')
    took = time.perf_counter()-start
    secs = sweep(grid, root/'estimated', workers, scale)
    yield f'dal estimate {grid} --scale {scale}: {guess.distinct} trainings, {workers} workers, measured in {took:.0f} s', \
        f'{guess.wall_s:.0f} s estimated, {secs:.0f} s by the clock, {guess.wall_s/secs-1:+.0%}','within 30 %'

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('grid', nargs='?', default='fig4', help='preset or YAML file of the estimate')
    p.add_argument('--scale', default='pocket')
    p.add_argument('--workers', type=int, default=os.cpu_count(), help='of the estimate and its sweep (default: one for every core)')
    p.add_argument('--parts', nargs='+', choices=parts, default=parts, help='default: all')
    p.add_argument('--quick', action='store_true', help='tiny runs, to see that the script works')
    a = p.parse_args()
    os.environ['DAL_THREADS'] = '1'
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        (d/'tiny.yaml').write_text(yaml.safe_dump(quick|dict(trial=[1, 2])))
        print('| what | measured | target |\n| --- | --- | --- |', flush=True)
        todo = []
        if 'overhead' in a.parts: todo.append(overhead(d/'overhead', 1 if a.quick else 3))
        if {'speedup', 'again'}&{*a.parts}: todo.append(speedup(d, a.quick, 'again' in a.parts))
        if 'estimate' in a.parts: todo.append(right(d, d/'tiny.yaml' if a.quick else a.grid, a.scale, a.workers))
        for rows in todo:
            for row in rows: print(f'| {" | ".join(row)} |', flush=True)

if __name__=='__main__': main()
