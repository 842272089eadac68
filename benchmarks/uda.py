"What our callback adds to a UDA iteration: the same arithmetic in a plain torch loop, in turns, on one thread; python benchmarks/uda.py [MODEL]"
import sys,time
from statistics import median

import torch, torch.nn.functional as F

from deep_al_illusions.augment import augments
from deep_al_illusions.core import Spec, generator
from deep_al_illusions.data import load_task
from deep_al_illusions.models import build
from deep_al_illusions.train import AugmentBatch, Batches, Schedule, keep_memory, learner, regimes

def batches(task, spec, lo, hi, bs, purpose):
    return Batches(task.x_train, task.y_train, torch.arange(lo, hi), bs, spec.iterations, generator(spec, purpose))

def ours(task, spec):
    "The Learner with its callbacks"
    lbl = batches(task, spec, 0, 100, spec.bs, 'lbl')
    cbs = [AugmentBatch(augments['weak'](task), generator(spec, 'aug')), regimes['uda'](task, spec, lbl, lambda o: generator(spec, o))]
    return lambda model: learner(model, lbl, spec, cbs).fit(1)

def plain(task, spec):
    "The same in a loop, without diagnostics"
    lbl,unl = batches(task, spec, 0, 100, spec.bs, 'lbl'),batches(task, spec, 100, len(task.y_train), spec.bs_unl, 'unlabelled')
    weak,strong,g1,g2,rate = augments['weak'](task),augments['strong'](task),generator(spec, 'aug'),generator(spec, 'views'),Schedule(spec, lbl).rate
    def loop(model):
        opt = torch.optim.SGD(model.parameters(), lr=spec.lr, momentum=.9, nesterov=True, weight_decay=5e-4)
        for i,((x,y),(u,_)) in enumerate(zip(lbl, unl)):
            opt.param_groups[0]['lr'] = rate(i)
            a,b = weak(u, g2),strong(u, g2)
            loss = F.cross_entropy(model(weak(x, g1)), y)
            with torch.no_grad(): p = model(a)
            kl = F.kl_div(model(b).log_softmax(1), (p/.5).softmax(1), reduction='none').sum(1)
            opt.zero_grad()
            (loss+(kl*(p.softmax(1).amax(1)>.6)).mean()).backward()
            opt.step()
    return loop

def main(name='wrn-10-1', iterations=60, rounds=7):
    torch.set_num_threads(1)
    keep_memory()
    task,spec = load_task('digits'),Spec(ssl='uda', model=name, iterations=iterations)
    secs = dict(ours=[], plain=[])
    for _ in range(rounds+1):
        for k,make in dict(ours=ours, plain=plain).items():
            f,model = make(task, spec),build(name, task, generator(spec, 'weights'))
            start = time.perf_counter()
            f(model)
            secs[k].append((time.perf_counter()-start)/iterations*1e3)
    a,b = (median(secs[k][1:]) for k in ('ours', 'plain'))
    ratio = median(x/y for x,y in zip(*(o[1:] for o in secs.values())))
    print('| network, images an iteration | callback, ms | plain loop, ms | ratio |\n| --- | --- | --- | --- |')
    print(f'| {name}, {spec.bs} + {spec.bs_unl} | {a:.1f} | {b:.1f} | {ratio:.3f} |')

if __name__=='__main__': main(*sys.argv[1:])
