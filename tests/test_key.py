"One thing changed at a time: it changes the key of a training, or provably cannot change the training"
import json,os,re,subprocess,sys,warnings
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np, pandas as pd, pytest, torch
from PIL import Image

from deep_al_illusions.tasks.geometry import RandomFlip
from deep_al_illusions.tasks.augment import augments,Chain
from deep_al_illusions.segment.clicks import Convention,conventions,outlines
from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import Spec
from deep_al_illusions.tasks.fingerprint import fingerprint
from deep_al_illusions.tasks.data import accuracy,Task
from deep_al_illusions.tasks.named import files_of,load_task,tasks
from deep_al_illusions.loop.loop import run
import deep_al_illusions.segment.regions # chkstyle: ignore
from deep_al_illusions.segment.segdata import miou,SegTask
from deep_al_illusions.segment.scenes import scene
from deep_al_illusions.learn.weights import data_digest,init_digest
from deep_al_illusions.learn.train import train,training_key

def tiny(**kw):
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (24, 3, 8, 8), generator=g, dtype=torch.uint8)
    return Task('tiny', list('abc'), x, torch.arange(24)%3, x[:9].flip(3), torch.arange(9)%3, **kw)

def tiny_scenes(**kw):
    x,y = (torch.from_numpy(np.stack(o)) for o in zip(*(scene(i, 2, 24) for i in range(10))))
    return SegTask('tiny', list('abc'), x.permute(0, 3, 1, 2).contiguous(), y, x[:4].permute(0, 3, 1, 2).contiguous(), y[:4],
        **dict(background=0)|kw)

quick = dict(iterations=2, bs=4, cycles=0)
spec_of = dict(plain=Spec(augment='weak', init='random', **quick), uda=Spec(ssl='uda', bs_unl=4, **quick),
    pixels=Spec(task='scenes', crop=16, model='deeplab-18-4', initial=.5, per_cycle=.1, **quick),
    s4gan=Spec(task='scenes', ssl='s4gan', crop=16, model='deeplab-18-4', bs_unl=2, initial=.5, per_cycle=.1, **quick))

# Another value of each field; those that are not here are numbers or switches, which change as `other` says
# chkstyle: ignore-node
values = dict(task=dict(plain='letters', pixels='voc'), strategy='entropy', ssl=dict(plain='uda', uda='none', pixels='s4gan', s4gan='none'), augment=dict(plain='strong', uda='strong', pixels='none', s4gan='none'),
    scale='paper', budget='large', level=dict(pixels='polygon', s4gan='polygon'), model=dict(plain='wrn-16-1', uda='wrn-16-1', pixels='deeplab-18-8', s4gan='deeplab-18-8'), init=dict(plain='letters', uda='letters'),
    schedule='poly', precision='bf16', breaks='flip', range='0,128', matte='black', copies='drop', unlabelled='all', tsa='log', bn='joint', convention='eight', labels='original', candidates='prediction', last='skip', norm='eval',
    aggregate='mean', reading='nats', ensemble='probabilities', warmup_form='within', head_init='classes', views_order='crop_first', padding='zero', cutout_fill='mean', body_rate='code', channels='bgr')
no_other = dict(device='there is no second device here', own='what methods declare is in test_outside', init='weights of segmentation come from files; those of `plain` are changed')
choices = dict(schedule=['poly', 'cosine'], reading=['nats', 'log_c'], norm=['eval', 'train'], warmup_form=['within', 'before'], channels=['bgr', 'rgb'])

def other(spec, kind, f):
    "Another value of the field `f`, or `None` where it has no meaning here"
    now = getattr(spec, f.name)
    if f.name in values:
        v = values[f.name]
        v = v.get(kind) if isinstance(v, dict) else v
        return next((o for o in choices.get(f.name, [v]) if o!=now), None)
    if now is None or f.name in no_other: return None
    if f.type is bool: return not now
    if f.type is int: return now+1
    return now*.5 if now else .25

def without_defaults(spec): return {f.name: getattr(spec, f.name) for f in fields(spec)}

def changed(spec, kind, f):
    "The `Spec` with that field alone changed, or `None`"
    value = other(spec, kind, f)
    if value is None: return None
    if f.name in ('scale', 'budget'): # All other fields stay as they are
        res = object.__new__(Spec)
        for k,v in (without_defaults(spec)|{f.name: value}).items(): object.__setattr__(res, k, v)
        return res
    try: return replace(spec, **{f.name: value})
    except InputError: return None

def weights(task, spec, root, lbl):
    "The trained weights, made afresh, and the score"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model,res = train(task.at(spec, None), spec, lbl, root=root)
    return {k: v.clone() for k,v in model.state_dict().items()},res['score'],res['loss']

def equal(a, b):
    return a[0].keys()==b[0].keys() and all(torch.equal(a[0][k], b[0][k]) for k in a[0]) and np.array_equal(a[1:], b[1:], equal_nan=True)

def make(kind): return tiny_scenes() if kind in ('pixels', 's4gan') else tiny()

@pytest.mark.parametrize('kind', spec_of)
def test_every_field_of_a_spec(kind, tmp_path):
    spec,task,lbl = spec_of[kind],make(kind),[0, 1, 2, 3, 4, 5]
    key = training_key(task.at(spec, None), spec, lbl)
    base,seen,same = weights(task, spec, tmp_path/'base', lbl),set(),[]
    for f in fields(Spec):
        new = changed(spec, kind, f)
        if new is None: continue
        seen.add(f.name)
        if training_key(task.at(new, None), new, lbl)==key: same.append((f.name, new))
    for name,new in same:
        assert equal(weights(task, new, tmp_path/name, lbl), base), f'{name} changes a training, but not its key'
    assert {o for o,_ in same}>={'strategy', 'budget', 'initial', 'per_cycle', 'cycles', 'subset', 'members'}
    assert len(seen)-len(same)>=15

def test_no_field_is_forgotten():
    "Every field is changed for some kind of training, or it is said why not"
    seen = {f.name for f in fields(Spec) for k,s in spec_of.items() if changed(s, k, f) is not None}
    assert {f.name for f in fields(Spec)}-seen<={*no_other}

def twice(c): return 2*accuracy(c)
def share(k): return lambda c: k*accuracy(c)

# chkstyle: ignore-node
task_changes = {
    'x_train': lambda t: t.x_train[0, 0, 0].add_(1), 'y_train': lambda t: t.y_train[:2].copy_(t.y_train[:2].flip(0)), 'x_test': lambda t: t.x_test[0].add_(1), 'y_test': lambda t: t.y_test[:2].copy_(t.y_test[:2].flip(0)),
    'x_train replaced': lambda t: setattr(t, 'x_train', t.x_train.flip(0)), 'breaks': lambda t: setattr(t, 'breaks', ('flip',)), 'mean': lambda t: setattr(t, 'mean', [.1, .2, .3]), 'std': lambda t: setattr(t, 'std', [.1, .2, .3]),
    'metric': lambda t: setattr(t, 'metric', twice), 'classes': lambda t: t.classes.append('d'), 'what a metric closes over': lambda t: setattr(t, 'metric', share(3)), 'a partial metric': lambda t: setattr(t, 'metric', partial(twice))}

@pytest.mark.parametrize('what', task_changes)
def test_every_field_of_a_task(what):
    t,s = tiny(metric=share(2)),spec_of['plain']
    before = training_key(t, s, [0, 1, 2])
    assert before==training_key(tiny(metric=share(2)), s, [0, 1, 2])
    task_changes[what](t)
    assert training_key(t, s, [0, 1, 2])!=before

def test_fields_of_a_task_that_no_training_reads(tmp_path):
    t,s = tiny(),spec_of['plain']
    u = replace_name(tiny())
    assert training_key(t, s, [0, 1, 2])==training_key(u, s, [0, 1, 2])
    assert equal(weights(t, s, tmp_path/'a', [0, 1, 2]), weights(u, s, tmp_path/'b', [0, 1, 2]))

def replace_name(t):
    t.name,t.costs = 'another',t.costs*7
    return t

# chkstyle: ignore-node
scene_changes = {'background': lambda t: setattr(t, 'background', None), 'y_train': lambda t: t.y_train[0, :4].add_(1), 'breaks': lambda t: setattr(t, 'breaks', ('flip',)),
    'mean': lambda t: setattr(t, 'mean', [.1, .2, .3]), 'metric': lambda t: setattr(t, 'metric', lambda c: miou(c)/2)}

@pytest.mark.parametrize('what', scene_changes)
def test_every_field_of_a_segmentation_task(what):
    t,s = tiny_scenes(),spec_of['pixels']
    before = training_key(t.at(s, None), s, [0, 1])
    scene_changes[what](t)
    assert training_key(t.at(s, None), s, [0, 1])!=before

def test_what_people_drew_is_in_the_key():
    t,s = tiny_scenes(),spec_of['pixels']
    keys = {training_key(t.at(s, None), s, [0, 1])}
    for tolerance in 1.,3.: keys.add(training_key(t.drawn_by(outlines(t.y_train, tolerance, workers=1)).at(s, None), s, [0, 1]))
    assert len(keys)==3

def test_what_is_registered_under_a_name_is_in_the_key(monkeypatch):
    t,s = tiny(),Spec(augment='mine', **quick)
    keys = []
    for p in .5,.5,.7:
        monkeypatch.setitem(augments, 'mine', lambda task, p=p: Chain([RandomFlip(p)]))
        keys.append(training_key(t, s, [0, 1, 2]))
    assert keys[0]==keys[1]!=keys[2]
    u,r,keys = tiny_scenes(),replace(spec_of['pixels'], convention='mine'),[]
    for c in Convention(8), Convention(8), Convention(4, level=1.):
        monkeypatch.setitem(conventions, 'mine', c)
        keys.append(training_key(u.at(r, None), r, [0, 1]))
    assert keys[0]==keys[1]!=keys[2]

# Finished runs of other data

def arrays(path, **kw):
    t = tiny()
    d = {k: getattr(t, k).numpy() for k in ('x_train', 'y_train', 'x_test', 'y_test')}
    np.savez(path, **d|kw)
    return Spec(task=f'npz:{path}', initial=6, **quick|dict(iterations=1))

def silent(*a): pass

def test_corrected_settings_of_a_data_set_give_another_training(tmp_path):
    s = replace(arrays(tmp_path/'a.npz'), augment='weak')
    run(s, tmp_path/'one', say=silent)
    arrays(tmp_path/'a.npz', breaks='flip')
    with pytest.raises(InputError, match='has changed since'): run(s, tmp_path/'one', say=silent)
    run(s, tmp_path/'two', say=silent)
    names = [{o.name for o in (tmp_path/k/'trainings').glob('*.pt')} for k in ('one', 'two')]
    assert not names[0]&names[1]

# chkstyle: ignore-node
@pytest.mark.parametrize('harm,words', [(lambda p: p.unlink(), 'cannot be checked: .*no such file'), (lambda p: p.write_bytes(b'torn'), 'cannot be checked: .*not a'),
    (lambda p: np.savez(p, **dict(np.load(p))|dict(y_train=np.arange(24)//8)), 'data npz:.* has changed since')])
def test_a_finished_run_is_not_handed_back_unchecked(tmp_path, harm, words):
    s = arrays(tmp_path/'a.npz')
    folder = run(s, tmp_path/'runs', say=silent)
    assert run(s, tmp_path/'runs', say=silent)==folder
    harm(tmp_path/'a.npz')
    with pytest.raises(InputError, match=words) as e: run(s, tmp_path/'runs', say=silent)
    assert '\n' not in str(e.value)

def test_the_same_contents_at_another_time_are_the_same_data(tmp_path):
    s = arrays(tmp_path/'a.npz')
    folder = run(s, tmp_path/'runs', say=silent)
    data = (tmp_path/'a.npz').read_bytes()
    (tmp_path/'a.npz').unlink()
    (tmp_path/'a.npz').write_bytes(data)
    assert run(s, tmp_path/'runs', say=silent)==folder

def test_a_task_of_ones_own_is_loaded_to_be_compared(tmp_path, monkeypatch):
    monkeypatch.setitem(tasks, 'mine', lambda name: tiny())
    s = Spec(task='mine', initial=6, **quick|dict(iterations=1))
    folder = run(s, tmp_path, say=silent)
    assert run(s, tmp_path, say=silent)==folder
    monkeypatch.setitem(tasks, 'mine', lambda name: tiny(breaks=('flip',)))
    with pytest.raises(InputError, match='data mine has changed'): run(s, tmp_path, say=silent)

def test_a_strategy_of_ones_own_is_compared_by_its_code(tmp_path, monkeypatch):
    from deep_al_illusions.choose.strategies import Order,register,strategies
    def first(outs, pool, generator): return Order(torch.arange(len(pool.unl)))
    register('own_first')(first)
    s = Spec(strategy='own_first', initial=20, per_cycle=5, **quick|dict(iterations=1, cycles=1))
    folder = run(s, tmp_path, say=silent)
    assert run(s, tmp_path, say=silent)==folder
    def first(outs, pool, generator): return Order(torch.arange(len(pool.unl)).flip(0))
    register('own_first')(first)
    with pytest.raises(InputError, match='strategy own_first has changed'): run(s, tmp_path, say=silent)
    del strategies['own_first']
    with pytest.raises(InputError, match='is done, but its strategy own_first cannot be checked'): run(s, tmp_path, say=silent)

# Your own code, one thing changed at a time

base = '''
import functools,numpy as np,torch
from dataclasses import dataclass
import {helpers} as helpers
limit,table,weights = 1,dict(a=1),np.zeros(3)
def helper(x): return x+1
class Base:
    k = 1
class Mine(Base):
    by = 1
    def __init__(self, a=1): self.a = a
    @property
    def p(self): return 1
    @classmethod
    def c(cls): return 1
    @staticmethod
    def s(): return 1
    def __call__(self, x): return x*1
@dataclass
class Data:
    a:int = 1
    def __call__(self, x): return x+1
@functools.lru_cache
def cached(x): return x+1
def f_module(x): return helpers.h(x)
def f_lambda(x): return (lambda y: helper(y)+limit)(x)
def f_inner(x):
    def g(y): return helper(y)
    return g(x)
def f_generator(x): return sum(helper(y) for y in x)
def f_list(x): return [helper(y) for y in x]
def f_keyword(x, *, k=1): return x
def f_set(x): return x in {{'a', 'b', 'c', 'd'}}
def f_table(x): return table['a']
def f_array(x): return weights[0]
def f_cached(x): return cached(x)
@torch.no_grad()
def f_wrapped(x): return x+1
f_object = Mine()
f_bound = Mine().__call__
f_data = Data()
f_network = torch.nn.Linear(1, 1)
torch.nn.init.constant_(f_network.weight, 1.)
torch.nn.init.constant_(f_network.bias, 1.)
def f_attribute(x): return f_attribute.k
f_attribute.k = 1
'''
every = [o for o in re.findall(r'^(?:def |)(f_\w+)', base, re.M)]
every = [*dict.fromkeys(every)]

# What is changed, how, and which of the fingerprints have to change; others must not
# chkstyle: ignore-node
changes = {'helper': ('return x+1\nclass Base', 'return x+2\nclass Base', 'f_lambda f_inner f_generator f_list'), 'a number': ('limit,table,weights = 1', 'limit,table,weights = 2', 'f_lambda'), 'a table': ('dict(a=1)', 'dict(a=2)', 'f_table'),
    'an array': ('np.zeros(3)', 'np.ones(3)', 'f_array'), 'a base class': ('    k = 1', '    k = 2', 'f_object f_bound'), 'an attribute of a class': ('    by = 1', '    by = 2', 'f_object f_bound'),
    'what an object holds': ('a=1): self', 'a=2): self', 'f_object f_bound'), 'a property': ('def p(self): return 1', 'def p(self): return 2', 'f_object f_bound'), 'a class method': ('def c(cls): return 1', 'def c(cls): return 2', 'f_object f_bound'),
    'a static method': ('def s(): return 1', 'def s(): return 2', 'f_object f_bound'), 'a call': ('return x*1', 'return x*2', 'f_object f_bound'), 'a dataclass': ('    a:int = 1\n    def __call__(self, x): return x+1', '    a:int = 1\n    def __call__(self, x): return x+2', 'f_data'),
    'a field': ('a:int = 1', 'a:int = 2', 'f_data'), 'a cached function': ('def cached(x): return x+1', 'def cached(x): return x+2', 'f_cached'), 'a keyword': ('*, k=1', '*, k=2', 'f_keyword'), 'a set': ("'d'}}", "'e'}}", 'f_set'),
    'a wrapped function': ('def f_wrapped(x): return x+1', 'def f_wrapped(x): return x+2', 'f_wrapped'), 'weights': ('weight, 1.', 'weight, 2.', 'f_network'), 'an attribute of a function': ('f_attribute.k = 1', 'f_attribute.k = 2', 'f_attribute'),
    'a module beside it': ('', '', 'f_module'), 'a comment': ('limit,', '# A comment\nlimit,', '')}

teller = f"""import json,os,sys
from deep_al_illusions.tasks.fingerprint import fingerprint
for folder in sys.argv[1:]:
    child = os.fork() # Has imported the package, and nothing of the folder
    if child:
        if os.waitpid(child, 0)[1]: sys.exit(f'no fingerprints of {{folder}}')
        continue
    os.chdir(folder)
    import mine
    with open('told.json', 'w') as f: json.dump({{o: fingerprint(getattr(mine, o)) for o in {every}}}, f)
    os._exit(0)
"""

def source_in(folder, source=base, help='def h(x): return x\n'):
    folder.mkdir()
    (folder/'helpers_of_mine.py').write_text(help)
    (folder/'mine.py').write_text(source.format(helpers='helpers_of_mine'))
    return folder

def told(folders):
    "The fingerprint of each function in each folder, as a process of its own sees them"
    r = subprocess.run([sys.executable, '-c', teller, *folders], capture_output=True, text=True)
    assert not r.returncode, r.stderr
    return [json.loads((o/'told.json').read_text()) for o in folders]

@pytest.fixture(scope='module')
def as_it_was(tmp_path_factory): return told([source_in(tmp_path_factory.mktemp('own')/'a')])[0]

@pytest.fixture(scope='module')
def as_changed(tmp_path_factory):
    "What each change makes of the fingerprints, told by another process, whose sets have another order"
    root,folders = tmp_path_factory.mktemp('changed'),{}
    for i,(what,(old,new,_)) in enumerate(changes.items()):
        assert base.count(old)==1 or not old
        help = 'def h(x): return x+1\n' if what=='a module beside it' else 'def h(x): return x\n'
        folders[what] = source_in(root/str(i), base.replace(old, new) if old else base, help)
    return dict(zip(folders, told(folders.values())))

@pytest.mark.parametrize('what', changes)
def test_own_code_is_told_with_all_that_it_reads(what, as_it_was, as_changed):
    must = {*changes[what][2].split()}
    other = {o for o in every if as_changed[what][o]!=as_it_was[o]}
    assert must<=other and not other-must, other

def test_a_strategy_may_read_arrays_and_tables():
    table = pd.DataFrame(dict(a=[1, 2]))
    def f(x, some=np.arange(3), seen=[np.arange(2), np.arange(2)]): return table
    assert fingerprint(f)==fingerprint(f)
    before = fingerprint(f)
    table.loc[0,'a'] = 5
    assert fingerprint(f)!=before

def test_parts_of_ones_own_are_compared_for_a_finished_run(tmp_path, monkeypatch):
    monkeypatch.setitem(augments, 'mine', lambda task: Chain([RandomFlip(.5)]))
    s = Spec(augment='mine', initial=20, **quick|dict(iterations=1))
    folder = run(s, tmp_path, say=silent)
    assert run(s, tmp_path, say=silent)==folder
    monkeypatch.setitem(augments, 'mine', lambda task: Chain([RandomFlip(.7)]))
    with pytest.raises(InputError, match='augment mine has changed'): run(s, tmp_path, say=silent)

def test_a_task_of_ones_own_by_its_methods_and_costs():
    class Mine(Task):
        def weight(self): return 1
    made = [tiny().digest, Mine('tiny', list('abc'), *(getattr(tiny(), k) for k in ('x_train', 'y_train', 'x_test', 'y_test'))).digest]
    t = tiny()
    t.costs = t.costs*2
    assert len({*made, t.run_digest})==3 and t.digest==made[0]

def test_a_task_of_ones_own_that_reads_a_file_is_looked_at_again(tmp_path, monkeypatch):
    def mine(name): return tiny(breaks=tuple((tmp_path/'a.txt').read_text().split()))
    monkeypatch.setitem(tasks, 'mine', mine)
    s,seen = Spec(task='mine', **quick),[]
    for text in '', 'flip', 'flip':
        (tmp_path/'a.txt').write_text(text)
        seen.append(data_digest(s))
    assert seen[0]!=seen[1]==seen[2]

def test_weights_with_the_times_of_others(tmp_path):
    seen = []
    for k in 1,2:
        torch.save(dict(a=torch.full((3,), float(k))), tmp_path/'w.pt')
        os.utime(tmp_path/'w.pt', (10, 10))
        seen.append(init_digest(str(tmp_path/'w.pt')))
    assert seen[0]!=seen[1]

def test_the_code_of_the_package_is_in_the_key(monkeypatch):
    import deep_al_illusions.learn.train as module
    t,s = tiny(),spec_of['plain']
    before = training_key(t, s, [0, 1])
    with monkeypatch.context() as m:
        m.setattr(module, 'edited', lambda: 'other')
        assert training_key(t, s, [0, 1])!=before
    assert training_key(t, s, [0, 1])==before
    monkeypatch.setattr(torch, '__version__', '0.1')
    assert training_key(t, s, [0, 1])!=before

def test_a_package_of_the_current_folder_is_named(tmp_path, monkeypatch):
    import deep_al_illusions.loop.loop as module
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, 'package', tmp_path/'deep_al_illusions')
    with pytest.warns(UserWarning, match='of the current folder, not the one installed in'): run(Spec(initial=10, **quick), tmp_path/'r', say=silent)

def test_settings_with_defaults_of_an_augmentation_are_its_own(monkeypatch):
    from deep_al_illusions.tasks.augment import chain,Recipe
    seen = []
    monkeypatch.setitem(augments, 'a', lambda task, p=.5: seen.append(p))
    monkeypatch.setitem(augments, 'b', lambda task, recipe: seen.append(recipe))
    for o in 'ab': chain(o, None, Recipe())
    assert seen==[.5, Recipe()]

# What a task is read from

def put_picture(path, seed, ink=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    a = np.random.default_rng(seed).integers(0, 256, (20, 20, 3))
    if ink is not None:
        a = np.full((20, 20), 1-ink)
        a[4:14,5:15] = ink
    Image.fromarray(a.astype(np.uint8)).save(path)

def as_classes(d):
    for k in range(16):
        part = 'train' if k<8 else 'test'
        put_picture(d/f'elsewhere/{part}/{"ab"[k%2]}/{k}.png', k)
    (d/'set').mkdir()
    for part in 'train','test': (d/'set'/part).symlink_to(d/'elsewhere'/part)
    (d/'set/dataset.yaml').write_text('breaks: flip\n')
    return f'folder:{d}/set'

def as_maps(d, part='.', first=0):
    for k in range(first, first+8):
        put_picture(d/part/f'images/{k}.png', k)
        put_picture(d/part/f'labels/{k}.png', k, k%2)
    (d/'dataset.yaml').write_text('breaks: flip\n')
    return f'masks:{d/part}/images,{d/part}/labels'

def with_a_list(d, where):
    name = as_maps(d)
    (d/where).write_text('background\nthing\n')
    return name

def with_parts_outside(d):
    as_maps(d, 'valid', 8)
    (d/'data.yaml').write_text('names: [background, thing]\n')
    return as_maps(d, 'train')

layouts = dict(classes=as_classes, maps=as_maps, outside=with_parts_outside, beside=partial(with_a_list, where='classes.txt'),
    inside=partial(with_a_list, where='labels/classes.txt'))
watched = dict(on=False, paths=set())
sys.addaudithook(lambda event, args: watched['paths'].add(str(args[0])) if watched['on'] and event=='open' else None)

@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('layout', layouts)
def test_what_is_read_is_stamped(layout, tmp_path, monkeypatch):
    name = layouts[layout](tmp_path)
    watched['paths'].clear()
    with monkeypatch.context() as m:
        m.setitem(watched, 'on', True)
        load_task(name)
    read = {Path(o).resolve() for o in watched['paths']}
    files = {o for o in read if o.is_relative_to(tmp_path) and o.is_file()}
    assert len(files)>16 and files<={o.resolve() for o in files_of(name)}
