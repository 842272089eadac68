"What a sweep would take: shared trainings are those that the cache shares, and the rest is arithmetic or measured"
import math
from types import SimpleNamespace

import pytest
from fastai.callback.core import CancelFitException

from deep_al_illusions.cli import main
from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import run_id,Spec
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.many.workload import pools,steps_of,trainings_of
from deep_al_illusions.many.cached import at_hand,kept_of
from deep_al_illusions.many.estimate import estimate
from deep_al_illusions.many.measure import measure,Stopwatch,whole_time
from deep_al_illusions.many.queue import played
from deep_al_illusions.loop.loop import run
from deep_al_illusions.many.presets import combinations,preset
from deep_al_illusions.many.runner import prepare
from deep_al_illusions.learn.train import first_weights

quick = dict(say=lambda o: None)
one = dict(iterations=1)

def predicted(specs): return len({t for s in specs for t in trainings_of(s)})

def trained(specs, root):
    "Trainings that the runs leave in the cache"
    for s in specs: run(s, root, **quick)
    return len([*root.glob('trainings/*.pt')])

# chkstyle: ignore-node
grids = {
    'strategies': [dict(strategy=['random', 'entropy', 'core_set', 'margin'], cycles=2, trial=[1, 2])],
    'ensembles': [dict(strategy='ens_varr', members=[2, 3], cycles=[0, 1], iterations=15), dict(strategy='random', members=[2, 5], cycles=2, iterations=15)],
    'learning loss': [dict(strategy=['learn_loss', 'random'], ll_weight=[.5, 1.], cycles=1)],
    'budgets': [dict(initial=[20, 30], per_cycle=[20, 30], cycles=1), dict(strategy='entropy', subset=[0, 200], cycles=1), dict(budget='large', initial=20, per_cycle=20, cycles=3)],
    'regimes': [dict(ssl=['none', 'uda'], strategy=['random', 'entropy'], cycles=1), dict(augment='strong', ema=[0, .9], cycles=0)],
    'figures': [dict(budget=b, strategy=['random', 'entropy', 'learn_loss'], cycles=1, trial=1, **w) for b,w in (
        ('large', dict(augment='none')), ('large', dict(augment='strong')), ('large', dict(ssl='uda')), ('low', dict(augment='strong')), ('low', dict(ssl='uda')))]}

@pytest.mark.parametrize('name', grids)
def test_trainings_are_those_of_the_cache(name, tmp_path):
    specs = [s for g in grids[name] for s in combinations(one|g)]
    assert predicted(specs)==trained(specs, tmp_path)<sum(len(trainings_of(s)) for s in specs)

# chkstyle: ignore-node
regions = {
    'polygons': dict(strategy=['random', 'entropy'], level=['image', 'polygon'], cycles=1),
    'readings': dict(strategy=['random', 'entropy'], aggregate=['count', 'mean'], threshold=[.2, .98], cycles=1)}

@pytest.mark.parametrize('name', regions)
def test_trainings_of_segmentation(name, drawn, tmp_path):
    same = dict(task=f'masks:{drawn}/images,{drawn}/labels', model='deeplab-18-4', initial=.1, per_cycle=.1, bs=2, crop=33)
    specs = combinations(one|same|regions[name])
    assert predicted(specs)==trained(specs, tmp_path)

def test_the_presets_never_train_twice():
    both = [preset(o, 'pocket') for o in ('fig2', 'fig4', 'fig6')]
    each,together = [predicted(o) for o in both],predicted([s for o in both for s in o])
    raw = {s for o in both[:2] for s in o if s.augment=='strong'}
    assert together==sum(each)-predicted(raw)
    assert raw=={s for s in both[0] if s.augment=='strong'}=={s for s in both[1] if s.ssl=='none'}

def test_first_weights_are_one_training_more(tmp_path, arrays, monkeypatch):
    specs = [Spec(init='letters', model='wrn-10-1', strategy=s, cycles=0, **one) for s in ('random', 'entropy')]
    monkeypatch.setattr('deep_al_illusions.many.estimate.steps_of', None)
    assert predicted(specs)==2 and [t.first for t in trainings_of(specs[0])].count('all')==1
    asked = []
    monkeypatch.setattr('deep_al_illusions.learn.train.train', lambda task, spec, lbl, root: asked.append((spec, len(lbl))) or 1/0)
    with pytest.raises(ZeroDivisionError): first_weights(specs[0], tmp_path)
    from deep_al_illusions.learn.train import pretraining
    assert asked==[(pretraining(specs[0]), len(load_task('letters').y_train))]

def test_iterations_and_batches(tmp_path):
    kinds,s = {},Spec(epochs=3, bs=32, initial=20, per_cycle=30, cycles=2)
    steps = steps_of(s, tmp_path, kinds)
    assert [o.iterations for o in steps]==[3*math.ceil(20/20), math.ceil(3*50/32), math.ceil(3*80/32)]
    assert [o.kind[1] for o in steps]==[20, 32, 32] and len(kinds)==2
    assert [o.left for o in steps]==[1277, 1247, 1217]

def test_segmentation_buys_what_the_budget_pays_for(drawn):
    s = Spec(task=f'masks:{drawn}/images,{drawn}/labels', initial=.2, per_cycle=.3, cycles=2)
    task = load_task(s.task).at(s)
    got = pools(task, s)
    assert [o.cost<=task.total*k for o,k in zip(got, (.2, .5, .8))]==[True]*3
    assert len(got[0])<len(got[1])<len(got[2])<=20

def test_the_queue():
    assert played([(0, [(k, 10, 1, 0)]) for k in 'abcd'], 2)==(20, 40)
    assert played([(0, [(k, 10, 1, 0)]) for k in 'abcde'], 2)[0]==30
    assert played([(0, [('a', 10, 1, 0)])]*4, 4)==(11, 13)
    assert played([(0, [('a', 10, 1, 0)])]*4, 4, kept='a')==(1, 4)
    assert played([(2, [('a', 10, 1, 5), ('b', 10, 1, 0)])], 1)==(27, 27)

def test_a_part_stands_for_the_whole():
    tried = []
    assert whole_time(lambda k: tried.append(k) or (1+k/10, 1+k/10), 1000)==pytest.approx(101) and tried==[2, 2, 8]
    assert whole_time(lambda k: (k/100, k/100), 1000)==pytest.approx(10)
    assert whole_time(lambda k: (9, k/100), 1000, lambda k: k//2)==pytest.approx(9+.06/3*(500-4))
    assert whole_time(lambda k: (k, k), 1)==1 and whole_time(lambda k: (.1, .1), 30)==.1

@pytest.mark.parametrize('k', [1, 10])
def test_stopwatch_stops(k, monkeypatch):
    clock,batches = iter(range(100)),SimpleNamespace(i=0, device='cpu')
    monkeypatch.setattr('time.perf_counter', lambda: next(clock))
    w = Stopwatch(batches, seconds=0)
    w.before_fit()
    with pytest.raises(CancelFitException):
        for _ in range(50):
            batches.i += k
            w.after_batch()
    assert len(w.times)==8 and w.seconds==pytest.approx(1/k)

@pytest.mark.parametrize('kw', [dict(ssl='uda', strategy='core_set'), dict(strategy='ens_varr', members=3, ema=.9), dict(strategy='learn_loss', precision='bf16')], ids=str)
def test_measuring(kw, tmp_path):
    kinds = {}
    steps_of(Spec(cycles=1, **kw), tmp_path, kinds)
    v = next(iter(kinds.values()))
    m = measure(**v, root=tmp_path)
    assert {*v['queries']}<={*m} and all(o>=0 for o in m.values()) and m['iteration']>0 and m['peak']>50 and m['checkpoint']>m['entry']>1000
    assert not [*tmp_path.rglob('*.pt')]

def test_measuring_segmentation(drawn, tmp_path):
    kinds,s = {},Spec(task=f'masks:{drawn}/images,{drawn}/labels', level='polygon', candidates='prediction', strategy='entropy', ssl='s4gan', initial=.2, per_cycle=.1,
        cycles=1, model='deeplab-18-4', crop=33, bs=2, bs_unl=2)
    steps = steps_of(s, tmp_path, kinds)
    (kind,v),*_ = kinds.items()
    assert measure(**v, root=tmp_path)[steps[0].query]>0

def test_a_stopped_sweep_is_counted_from_where_it_is(tmp_path, monkeypatch):
    s = Spec(strategy='entropy', cycles=2, **one)
    folder = run(s, tmp_path, **quick)
    for o in tmp_path.glob('*/DONE'): o.unlink()
    assert kept_of(s, tmp_path)=={*trainings_of(s)}
    assert kept_of(Spec(cycles=2, **one), tmp_path)=={trainings_of(s)[0]}
    (folder/'picks.npz').unlink()
    assert len(kept_of(s, tmp_path))==1 and not kept_of(Spec(trial=2, **one), tmp_path)

def test_what_finished_runs_have_trained_is_at_hand(tmp_path):
    run(Spec(strategy='entropy', cycles=1, **one), tmp_path, **quick)
    longer = [Spec(strategy=o, cycles=2, **one) for o in ('entropy', 'random')]
    assert at_hand(longer, tmp_path)=={*trainings_of(longer[0])[:2]} and not at_hand([Spec(trial=2, **one)], tmp_path)
    (tmp_path/'odd').mkdir()
    (tmp_path/'odd'/'spec.json').write_text('{"strategy": "none of ours"}')
    assert len(at_hand(longer, tmp_path))==2

def test_nothing_left(tmp_path):
    s = Spec(cycles=0, **one)
    run(s, tmp_path, **quick)
    assert prepare([s], tmp_path)==[] and 'nothing is left to do' in str(estimate([s], root=tmp_path))

# chkstyle: ignore-node
mistakes = {
    'grid': (['nothing'], "no preset and no file 'nothing'"),
    'scale': (['fig4', '--scale', 'huge'], "unknown scale 'huge'"),
    'data': (['data.yaml'], 'npz:nowhere.npz: no such file'),
    'budget': (['budget.yaml'], 'is beyond the pool of'),
    'key': (['key.yaml'], "did you mean 'strategy'"),
    'workers': (['fig4', '--workers', '-1'], 'workers must be at least 1'),
    'option': (['fig4', '--worker', '2'], "did you mean '--workers'")}

@pytest.mark.parametrize('case', mistakes)
def test_mistakes(case, runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('warnings.showwarning', print)
    for k,v in dict(data='task: npz:nowhere.npz', budget='initial: 2000', key='strategi: random').items(): (tmp_path/f'{k}.yaml').write_text(v)
    args,words = mistakes[case]
    with pytest.raises(SystemExit) as e: main(['estimate', *args])
    err = capsys.readouterr().err
    assert e.value.code==2 and words in err and err.strip().count('\n')==0, err

def test_the_command(cli, tmp_path, runs):
    (tmp_path/'grid.yaml').write_text('strategy: [random, ens_varr]\nmembers: 2\ncycles: 1\niterations: 20')
    done = cli('dal', 'estimate', tmp_path/'grid.yaml', '--workers', 1)
    assert done.returncode==0, done.stderr
    assert '2 runs, 0 of them finished; 5 trainings are left, 4 when' in done.stdout and 'digits wrn-10-1' in done.stdout
    assert 'measuring' in done.stderr and not [*runs.glob('*/spec.json')] and len(run_id(Spec()))>8

def test_an_unreachable_worker(monkeypatch, tmp_path):
    from contextlib import contextmanager
    @contextmanager
    def none(*_): yield type('C', (), dict(nthreads=lambda self: {}))()
    monkeypatch.setattr('deep_al_illusions.many.estimate.connected', none)
    with pytest.raises(InputError, match='has no workers'): estimate([Spec(cycles=0)], 1, 'tcp://x', tmp_path)

def test_the_slurm_recipe(tmp_path):
    jobqueue = pytest.importorskip('dask_jobqueue')
    from pathlib import Path
    text = (Path(__file__).parent.parent/'docs/scale.md').read_text()
    code = next(o.partition('```')[0] for o in text.split('```python\n')[1:] if 'SLURMCluster' in o)
    call = code[code.index('SLURMCluster('):code.index('\n\n', code.index('SLURMCluster('))]
    with eval(call, dict(SLURMCluster=jobqueue.SLURMCluster)) as cluster: script = cluster.job_script()
    assert '--gres=gpu:1' in script and '--resources GPU=2' in script and '--nthreads 2' in script
