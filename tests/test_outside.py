"Names from outside, `pkg.module:function`: found by every process, told from one another by their sources, and the public face"
import json,os,subprocess,sys

import deep_al_illusions, pytest
from deep_al_illusions import InputError,Spec,check_strategy,load_runs,make_spec,run,sweep
from deep_al_illusions.study.declare import setting
from deep_al_illusions.study.spec import run_id

lines = '''
from deep_al_illusions import rank
from my_helper import sign

def gini(outs, pool, generator):
    "Predictions with the smallest sum of squares first"
    return rank(sign*outs.probs.square().sum(1), generator)
gini.needs = ('probs',)
'''
quick = dict(initial=10, per_cycle=5, cycles=1, iterations=2)

@pytest.fixture
def ideas(tmp_path, monkeypatch, request):
    "The current folder has a module of ten lines, of a name of its own, since Python imports a name once"
    name = 'my_'+''.join(o for o in request.node.name if o.isalnum())[:30]
    for other in 'my_helper',name: sys.modules.pop(other, None)
    folder = tmp_path/'work'
    folder.mkdir()
    (folder/f'{name}.py').write_text(lines)
    (folder/'my_helper.py').write_text('sign = -1\n')
    monkeypatch.chdir(folder)
    return name

def test_contract(ideas): assert 'every_position_once' in check_strategy(f'{ideas}:gini')

def test_a_sweep_on_two_workers_compares_it_with_random(ideas, tmp_path):
    mine = f'{ideas}:gini'
    specs = [Spec(strategy=o, trial=t, **quick) for o in ('random', mine) for t in (1, 2)]
    assert sweep(specs, tmp_path/'runs', workers=2)=={}
    cycles = load_runs(tmp_path/'runs')[0]
    assert {*cycles.strategy}=={'random', mine} and cycles.study.nunique()==1 and cycles.run.nunique()==4

def test_an_edit_is_noticed_in_the_file_and_beside_it(ideas, tmp_path):
    s = Spec(strategy=f'{ideas}:gini', **quick)
    folder = run(s, tmp_path/'runs', say=lambda _: None)
    assert run(s, tmp_path/'runs', say=lambda _: None)==folder
    assert 'strategy' in json.loads((folder/'provenance.json').read_text())['own']
    for file in 'my_helper.py',f'{ideas}.py':
        before = open(file).read()
        with open(file, 'a') as f: f.write('more = 1\n')
        with pytest.raises(InputError, match=f'strategy {ideas}:gini has changed since'): run(s, tmp_path/'runs')
        open(file, 'w').write(before)
    assert run(s, tmp_path/'runs', say=lambda _: None)==folder

@pytest.mark.parametrize('name,words', [('my_missing:f', 'no module my_missing, neither installed nor in'), ('{}:ginni', "did you mean 'gini'"),
    ('my_broken:f', 'my_broken cannot be imported: SyntaxError'), ('my_needy:f', 'my_needy needs my_nothing'), ('{}:sign', 'is no function but int'),
    ('my_greedy:f', "unknown output 'prob'; did you mean 'probs'")])
def test_mistakes_are_one_line_before_any_work(ideas, tmp_path, name, words):
    for file,text in dict(broken='def f(:\n', needy='import my_nothing\n', greedy='def f(*a): return []\nf.needs = ("prob",)\n').items():
        open(f'my_{file}.py', 'w').write(text)
    with pytest.raises(InputError, match=words) as e: sweep([Spec(strategy=name.format(ideas), **quick)], tmp_path/'runs')
    assert '\n' not in str(e.value) and not (tmp_path/'runs').exists()

def test_folders_of_yours_take_nobodys_place(tmp_path):
    for o in 'random', 'yaml', 'mine': (tmp_path/f'{o}.py').write_text('def f(): return "stray"\n')
    code = '''
from deep_al_illusions.study.basics import outside
import random,yaml
print(outside('x', 'mine:f')(), hasattr(random, 'f'), hasattr(yaml, 'f'))
try: import cupy_or_so
except ImportError: print('not found')'''
    (tmp_path/'cupy_or_so.py').write_text('')
    r = subprocess.run([sys.executable, '-P', '-c', code], cwd=tmp_path, capture_output=True, text=True)
    assert r.stdout.split('\n')[:2]==['stray False False', 'not found'], r.stderr

def test_regime_network_and_augmentation_from_outside(ideas, tmp_path):
    (open(f'{ideas}.py', 'a')).write("""
from deep_al_illusions.learn.models import WideResNet
from deep_al_illusions.learn.step import Step
from deep_al_illusions.tasks.augment import weak
def small(n_classes): return WideResNet(10, 1, n_classes)
class Halved(Step):
    def loss(self, model, b):
        loss,seen = super().loss(model, b)
        return loss/2,seen
def views(task): return weak(task)
""")
    s = Spec(ssl=f'{ideas}:Halved', model=f'{ideas}:small', augment=f'{ideas}:views', **quick)
    folder = run(s, tmp_path/'runs', say=lambda _: None)
    own = json.loads((folder/'provenance.json').read_text())['own']
    assert {*own}=={'ssl', 'model', 'augment'}
    assert len({*load_runs(tmp_path/'runs')[0].ssl})==1

def test_task_from_outside(ideas, tmp_path):
    open(f'{ideas}.py', 'a').write("""
from deep_al_illusions.tasks.embedded import digits
def mine(name): return digits(name)
""")
    s = Spec(task=f'{ideas}:mine', strategy='entropy', **quick)
    folder = run(s, tmp_path/'runs', say=lambda _: None)
    assert run(s, tmp_path/'runs', say=lambda _: None)==folder

def test_sources_of_several_files_are_told_alike_in_every_process(tmp_path):
    for name in 'abcdefgh': (tmp_path/f'helper_{name}.py').write_text(f'x = "{name}"')
    (tmp_path/'mine.py').write_text('import '+', '.join(f'helper_{o}' for o in 'abcdefgh')+'\ndef f(): pass\n')
    code = 'from deep_al_illusions.study.basics import source_digest; print(source_digest("mine:f"))'
    def told(seed): return subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ|dict(PYTHONHASHSEED=str(seed))).stdout
    assert len({*map(told, (1, 2, 3))})==1 and told(1).strip()

def test_a_table_of_yours_may_have_any_column():
    import pandas as pd
    from deep_al_illusions import fingerprint
    tables = [pd.DataFrame(dict(known_as=[1, k])) for k in (2, 3)]
    assert json.dumps(fingerprint(tables[0]))!=json.dumps(fingerprint(tables[1]))

# The public face

def test_every_name_of_the_face_is_there_and_no_subpackage_bears_it():
    folders = {o.removesuffix('.py') for o in os.listdir(deep_al_illusions.__path__[0])}
    assert not folders&{*deep_al_illusions._face}
    assert all(getattr(deep_al_illusions, o) is not None for o in deep_al_illusions.__all__)
    with pytest.raises(AttributeError): deep_al_illusions.no_such_name

def test_importing_the_package_imports_nothing_else():
    code = 'import sys, deep_al_illusions; print(*[o for o in ("torch", "pandas", "numpy") if o in sys.modules])'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert r.stdout.strip()=='' and r.returncode==0, r.stderr

# Settings that methods declare themselves

declaring = '''
from deep_al_illusions.study.declare import setting
def powered(outs, pool, generator, power=2.):
    "Predictions with the smallest sum of powers first"
    return rank(-outs.probs.double().pow(power).sum(1), generator)
powered.needs,powered.settings = ('probs',),dict(power=setting('Exponent', 2., at_least=0))
'''

def test_own_settings_in_every_process(ideas, tmp_path):
    open(f'{ideas}.py', 'a').write(declaring)
    name = f'{ideas}:powered'
    specs = [Spec(strategy=name, **quick), Spec(strategy=name, power=5, **quick), Spec(**quick)]
    assert len({*map(run_id, specs)})==3 and run_id(Spec(strategy=name, power=2, **quick))==run_id(specs[0])
    assert sweep(specs, tmp_path/'runs', workers=2)=={}
    cycles = load_runs(tmp_path/'runs')[0]
    assert cycles.run.nunique()==3 and cycles.study.nunique()==1
    stored = json.loads((tmp_path/'runs'/run_id(specs[1])/'spec.json').read_text())
    assert stored['own']==[['strategy.power', 5.]] and make_spec(**stored)==specs[1]
    with pytest.raises(InputError, match="unknown parameter 'pover'; did you mean 'power'"): Spec(strategy=name, pover=1)

def test_a_declared_setting_changes_no_other_id_and_no_other_key(monkeypatch):
    from deep_al_illusions.choose.strategies import strategies
    from deep_al_illusions.learn.train import training_key
    from deep_al_illusions.tasks.named import load_task
    task,specs = load_task('digits'),[Spec(strategy=o) for o in ('random', 'entropy', 'core_set')]
    before = [(run_id(s), training_key(task, s, [1, 2])) for s in specs]
    def mine(outs, pool, g): return []
    mine.settings = dict(power=setting('Exponent', 2.))
    monkeypatch.setitem(strategies, 'mine', mine)
    assert [(run_id(s), training_key(task, s, [1, 2])) for s in specs]==before
    assert training_key(task, Spec(strategy='mine', power=3), [1, 2])==before[0][1]

def test_own_settings_of_a_strategy_change_what_is_bought_and_no_first_training(monkeypatch):
    from deep_al_illusions.choose.strategies import strategies
    from deep_al_illusions.many.workload import trainings_of
    def mine(outs, pool, g, power=2.): return []
    mine.settings = dict(power=setting('Exponent', 2.))
    monkeypatch.setitem(strategies, 'mine', mine)
    plain,other = (trainings_of(Spec(strategy='mine', power=p, **quick)) for p in (2, 3))
    assert plain[0]==other[0] and plain[1]!=other[1] and len({*plain, *other})==3
