"A pocket cycle on scenes, supervised and with s4GAN, and an iteration of the paper's network: python benchmarks/segmentation.py [--paper]"
import argparse,tempfile,time
from pathlib import Path

import pandas as pd, torch

from deep_al_illusions.study.machine import settings
from deep_al_illusions.study.spec import generator,Spec
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.loop.loop import run
from deep_al_illusions.segment.files import write_voc
from deep_al_illusions.learn.step import make_step
from deep_al_illusions.learn.learner import learner
from deep_al_illusions.learn.train import new_model

def cycle(ssl):
    "Seconds of training, of evaluating 500 images and of scoring the pool with Entropy"
    with tempfile.TemporaryDirectory() as d:
        folder = run(Spec(task='scenes', strategy='entropy', ssl=ssl, cycles=1), d, say=lambda o: None)
        r = pd.read_csv(folder/'cycles.csv').iloc[0]
        return r.train_s,r.eval_s,r.score_s

def iteration(ssl, n, device):
    "Seconds an iteration of DeepLabv2 on ResNet-101, crops of 321 from images of 500 x 375"
    with tempfile.TemporaryDirectory() as d:
        name = f'voc:{write_voc(Path(d)/"VOCdevkit", 40, 4, size=500)}'
        spec = Spec(task=name, scale='paper', ssl=ssl, iterations=n, initial=.5, per_cycle=.1, cycles=1, device=device)
        task = load_task(name).at(spec)
        purpose = lambda o: generator(spec, o)
        step,model = make_step(task, spec, range(20), purpose),new_model(task, spec, purpose)
        learn = learner(model, step, task.parts(spec))
        start = time.perf_counter()
        learn.fit(1)
        if device=='cuda': torch.cuda.synchronize()
        return (time.perf_counter()-start)/n

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--paper', action='store_true', help='also time the paper\'s network; on a CPU this takes minutes')
    p.add_argument('--iterations', type=int, default=0, help='of the paper\'s network (default: 100 on a GPU, 2 on a CPU)')
    a,device = p.parse_args(),settings().device
    print('| pocket cycle | training s | evaluation s | scoring s | in all |\n| --- | --- | --- | --- | --- |')
    for ssl in 'none','s4gan':
        t = cycle(ssl)
        print(f'| {ssl} | {t[0]:.1f} | {t[1]:.1f} | {t[2]:.1f} | {sum(t):.1f} |', flush=True)
    if not a.paper: return
    print(f'\n| ResNet-101, {device} | s an iteration |\n| --- | --- |')
    for ssl in 'none','s4gan': print(f'| {ssl} | {iteration(ssl, a.iterations or (100 if device=="cuda" else 2), device):.3f} |', flush=True)

if __name__=='__main__': main()
