"""Click model on all label maps of a folder, or on those a list names: python benchmarks/clicks.py LABELS_FOLDER [LIST.txt]

With `--csv FILE` only the table of `nbs/results/voc_clicks.csv` is made: the conventions by name, and `paper` at all tolerances.
"""
import os,resource,sys,threading,time
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import cv2, numpy as np, pandas as pd
from PIL import Image

from deep_al_illusions.segment.paint import in_order
from deep_al_illusions.segment.clicks import Convention,conventions
from deep_al_illusions.segment.tradeoff import trade_off

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

def by_opencv(polys, shape, fill=0):
    "Painting by OpenCV: vertices are rounded and the pixels under the outline belong to a polygon"
    res = np.full(shape, fill, np.uint8)
    for p in in_order(polys): cv2.fillPoly(res, [np.rint(r[:,::-1]).astype(np.int32) for r in (p.points, *p.holes)], p.cls)
    return res

def timed(name, masks, tolerances, opencv=False, budget=5000, **kw):
    "Rows of a trade-off; what it took is in the first"
    with Meter() as m,patch('deep_al_illusions.segment.clicks.paint', by_opencv) if opencv else nullcontext(): df = trade_off(masks, tolerances, **kw)
    cost = f'{m.seconds:.0f} | {m.cpu:.0f} | {m.peak:.0f}'
    for i,r in enumerate(df.itertuples()):
        print(f'| {name} | {r.tolerance:g} | {r.clicks:.2f} | {r.total:,} | {100*r.miou:.2f} | {100*budget/r.total:.2f} | {" |  | " if i else cost} |', flush=True)

def table(masks, path):
    "The conventions by name at 10 pixels, `paper` at all tolerances, as a CSV file"
    parts = [trade_off(masks, tolerances, convention=k).assign(convention=k) for k,tolerances in
        [('paper', (5,10,15,20,25,30,35,40)), *((k, (10,)) for k in conventions if k!='paper')]]
    df = pd.concat(parts)[['convention', 'tolerance', 'clicks', 'total', 'miou']]
    df.assign(share_of_5000=5000/df.total).round(6).to_csv(path, index=False)

def maps_of(folder, names=None):
    return Maps([Path(folder)/f'{o}.png' for o in Path(names).read_text().split()] if names else sorted(Path(folder).glob('*.png')))

def main(folder, names=None):
    masks = maps_of(folder, names)
    print(f'{len(masks):,} label maps, {len(os.sched_getaffinity(0))} cores\n')
    print('| convention | tolerance | clicks an image | clicks | mIoU, % | 5,000 clicks, % | s | CPU s | peak MB |')
    print('| --- | --- | --- | --- | --- | --- | --- | --- | --- |')
    timed('paper', masks, (10,))
    timed('paper', masks, (5,10,15,20,25,30,35,40))
    low = Convention(level=.1)
    timed('level 0.1', masks, (10,), convention=low)
    timed('painted by OpenCV', masks, (10,), True)
    timed('level 0.1, painted by OpenCV', masks, (10,), True, convention=low)
    timed('4-connected, holes', masks, (10,), convention=Convention(holes=True))
    for k in conventions:
        if k!='paper': timed(k, masks, (10,), convention=k)
    timed('no free background', masks, (10,), background=None)

if __name__=='__main__':
    args,out = sys.argv[1:],None
    if '--csv' in args:
        out = args.pop(args.index('--csv')+1)
        args.remove('--csv')
    if not 0<len(args)<3 or '-h' in args[0]: sys.exit(__doc__)
    table(maps_of(*args), out) if out else main(*args)
