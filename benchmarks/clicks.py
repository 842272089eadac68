"Click model on all label maps of a folder, or on those a list names: python benchmarks/clicks.py LABELS_FOLDER [LIST.txt]"
import os,resource,sys,threading,time
from pathlib import Path

import numpy as np
from PIL import Image

from deep_al_illusions.clicks import *

def pss(pid): # MB
    "Memory of a process, what it shares counted by share"
    try: return next(int(l.split()[1]) for l in open(f'/proc/{pid}/smaps_rollup') if l.startswith('Pss:'))/1024
    except (OSError, StopIteration): return 0

class Meter:
    "Seconds, CPU seconds and peak memory of this process and its children"
    def __enter__(self):
        self.peak,self.done = 0.,threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        self.start,self.cpu = time.perf_counter(),self.used()
        return self
    def __exit__(self, *args):
        self.seconds,self.cpu = time.perf_counter()-self.start,self.used()-self.cpu
        self.done.set()
        self.thread.join()
    def used(self): return sum(o.ru_utime+o.ru_stime for o in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
    def watch(self):
        while not self.done.wait(.2):
            kids = [p for t in Path('/proc/self/task').iterdir() for p in (t/'children').read_text().split()]
            self.peak = max(self.peak, pss('self')+sum(map(pss, kids)))

class Maps:
    "Label maps, read when asked for"
    def __init__(self, files): self.files = files
    def __len__(self): return len(self.files)
    def __getitem__(self, i): return np.asarray(Image.open(self.files[i]))

def row(name, tol, r, budget=5000, cost=('', '', '')):
    print(f'| {name} | {tol:g} | {r.clicks:.2f} | {r.total:,} | {100*r.miou:.2f} | {100*budget/r.total:.2f} | {" | ".join(cost)} |', flush=True)

def timed(name, masks, tolerances, **kw):
    "Rows of a trade-off; what it took is in the first"
    with Meter() as m: df = trade_off(masks, tolerances, **kw)
    cost = f'{m.seconds:.0f}',f'{m.cpu:.0f}',f'{m.peak:.0f}'
    for i,r in enumerate(df.itertuples()): row(name, r.tolerance, r, cost=('', '', '') if i else cost)

def main(folder, names=None):
    files = [Path(folder)/f'{o}.png' for o in Path(names).read_text().split()] if names else sorted(Path(folder).glob('*.png'))
    masks = Maps(files)
    print(f'{len(masks):,} label maps, {len(os.sched_getaffinity(0))} cores\n')
    print('| convention | tolerance | clicks an image | clicks | mIoU, % | 5,000 clicks, % | s | CPU s | peak MB |')
    print('| --- | --- | --- | --- | --- | --- | --- | --- | --- |')
    timed('paper', masks, (10,))
    timed('paper', masks, (5,10,15,20,25,30,35,40))
    for k in conventions:
        if k!='paper': timed(k, masks, (10,), convention=k)
    for k,c in dict(level=Convention(level=.1), eight_level=Convention(8, level=.1), own_holes=Convention(holes=True),
        level_holes=Convention(level=.1, holes=True)).items(): timed(k, masks, (10,), convention=c)

if __name__=='__main__': main(*sys.argv[1:]) if 1<len(sys.argv)<4 and '-h' not in sys.argv[1] else sys.exit(__doc__)
