"Runs that are killed, disturbed, repeated, and executed in different ways"
import json,os,random,signal,subprocess,sys,time
from dataclasses import fields
from pathlib import Path

import numpy as np, pandas as pd, papermill, pytest, torch

from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import run_id,Spec,written
from deep_al_illusions.loop.folder import columns,finished
from deep_al_illusions.loop.loop import run
from deep_al_illusions.loop.runs import load_runs
from deep_al_illusions.study.provenance import notebook
from deep_al_illusions.many.kernels import execute_run
from deep_al_illusions.many.runner import sweep

spec = Spec(strategy='margin', cycles=2, epochs=15)
quiet = dict(say=lambda o: None)

def result(folder):
    "What must be equal between two executions: rows without their times, and purchases with their scores"
    with np.load(folder/'picks.npz') as z: picks = {k: z[k].tolist() for k in ('ids', 'cycle')}|dict(score=np.nan_to_num(z['score'], nan=-9).tolist())
    return pd.read_csv(folder/'cycles.csv')[columns[:5]].values.tolist(),picks

def start(spec, root):
    "`dal run` in a process of its own, with a checkpoint after every iteration"
    args = [Path(sys.executable).parent/'dal', 'run', '--strategy', spec.strategy, '--cycles', str(spec.cycles), '--epochs', str(spec.epochs), '--runs', root]
    return subprocess.Popen(args, env=os.environ|dict(DAL_CHECKPOINT_S='0'), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def trace(root):
    "Trainings and checkpoints with their times, or `None` while one is being replaced"
    try: return {p: p.stat().st_mtime_ns for p in root.glob('trainings/[!.]*') if p.suffix in ('.ckpt', '.pt')}
    except FileNotFoundError: return None

def test_killed_five_times_equals_uninterrupted(tmp_path):
    long,root = Spec(strategy='margin', cycles=2, epochs=60),tmp_path/'b'
    want,seed = result(run(long, tmp_path/'a', **quiet)),time.time_ns()
    rng = random.Random(seed)
    for _ in range(5):
        before,p = trace(root),start(long, root)
        while p.poll() is None and trace(root)==before: time.sleep(.01)
        time.sleep(rng.uniform(0, .3))
        assert p.poll() is None, f'the run ended before it was killed; seed {seed}'
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
    assert not finished(root/run_id(long))
    assert start(long, root).wait()==0
    assert result(root/run_id(long))==want, f'seed {seed}'

def test_a_finished_training_is_not_repeated(runs, monkeypatch):
    run(spec, **quiet)
    for o in runs.glob('*/DONE'): o.unlink()
    monkeypatch.setattr('deep_al_illusions.learn.train._fit', lambda *a: pytest.fail('trained again'))
    run(spec, **quiet)

def test_strategies_of_a_trial_share_their_first_training(runs):
    for s in 'random','margin': run(Spec(strategy=s, cycles=0, epochs=2), **quiet)
    assert len([*runs.glob('trainings/*.pt')])==1

@pytest.mark.parametrize('file', ['cycles.csv', 'picks.npz', 'spec.json', 'provenance.json', 'DONE'])
@pytest.mark.parametrize('cut', [0, .5, .98])
def test_a_cut_file_is_rebuilt(runs, file, cut):
    folder = run(Spec(strategy='entropy', cycles=1, epochs=2), **quiet)
    want,path = result(folder),folder/file
    path.write_bytes(path.read_bytes()[:int(cut*path.stat().st_size)])
    assert not finished(folder)
    run(Spec(strategy='entropy', cycles=1, epochs=2), **quiet)
    assert finished(folder) and result(folder)==want

def test_a_corrupt_training_is_done_again(runs):
    folder = run(spec, **quiet)
    want = result(folder)
    for o in runs.glob('trainings/*.pt'): o.write_bytes(o.read_bytes()[:-100])
    (folder/'DONE').unlink()
    assert result(run(spec, **quiet))==want

def test_a_second_process_stays_out(runs, monkeypatch):
    from filelock import FileLock
    monkeypatch.setattr('deep_al_illusions.loop.loop.FileLock.acquire', lambda self, timeout=0, _f=FileLock.acquire: _f(self, timeout=.1))
    (runs/run_id(spec)).mkdir(parents=True)
    with FileLock(runs/run_id(spec)/'.lock', is_singleton=False), pytest.raises(InputError, match='another process'): run(spec, **quiet)

def test_data_that_changed_is_not_taken_for_the_old(tmp_path, arrays):
    np.savez(tmp_path/'a.npz', **arrays)
    s = Spec(task=f'npz:{tmp_path}/a.npz', initial=8, cycles=0, epochs=2)
    folder = run(s, **quiet)
    os.utime(tmp_path/'a.npz', (1, 1))
    assert run(s, **quiet)==folder
    np.savez(tmp_path/'a.npz', **arrays|dict(y_train=arrays['y_train'][::-1].copy()))
    with pytest.raises(InputError, match='has changed since'): run(s, **quiet)

def test_run_leaves_global_state_alone(runs):
    before,threads = torch.get_rng_state(),torch.get_num_threads()
    run(Spec(cycles=0, epochs=2), **quiet)
    assert torch.equal(before, torch.get_rng_state()) and torch.get_num_threads()==threads

def test_bf16_runs(runs): assert finished(run(Spec(cycles=0, epochs=2, precision='bf16', schedule='poly', momentum=0, nesterov=False), **quiet))

def test_divergence_is_one_clear_line(runs):
    with pytest.raises(InputError, match='diverged'): run(Spec(cycles=0, epochs=5, lr=1e9), **quiet)

def test_parameters_of_the_notebook_are_the_fields_of_spec():
    params = papermill.inspect_notebook(str(notebook('50_run')))
    assert {k: v['default'] for k,v in params.items()}=={f.name: repr(f.default) for f in fields(Spec)}

def test_papermill_and_dal_run_do_the_same_run(tmp_path, cli):
    p = dict(strategy='margin', cycles=1, epochs=3, trial=2)
    a,b = tmp_path/'a',tmp_path/'b'
    args = [o for k,v in p.items() for o in ('-p', k, v)]
    r = cli('papermill', notebook('50_run'), tmp_path/'out.ipynb', *args, env=dict(DAL_RUNS_ROOT=str(a)))
    assert r.returncode==0, r.stderr
    r = cli('dal', 'run', *[o for k,v in p.items() for o in (f'--{k}', v)], '--runs', b)
    assert r.returncode==0, r.stderr
    name = run_id(Spec(**p))
    assert result(a/name)==result(b/name) and (a/name/'spec.json').read_bytes()==(b/name/'spec.json').read_bytes()

def test_a_misspelt_papermill_parameter_is_named(tmp_path, cli):
    r = cli('papermill', notebook('50_run'), tmp_path/'out.ipynb', '-p', 'strategi', 'margin', process=True)
    assert r.returncode!=0 and "did you mean 'strategy'" in r.stderr

def test_a_sweep_of_two_workers_gives_what_this_process_gives_and_skips_what_is_done(tmp_path):
    specs = [Spec(strategy=s, cycles=1, epochs=5) for s in ('random', 'entropy')]
    for s in specs: run(s, tmp_path/'here', **quiet)
    assert sweep(specs, tmp_path/'2', 2)=={}
    for s in specs: assert result(tmp_path/'here'/run_id(s))==result(tmp_path/'2'/run_id(s))
    start = time.time()
    assert sweep(specs, tmp_path/'2', 2)=={} and time.time()-start<5
    assert json.loads((tmp_path/'2'/run_id(specs[0])/'spec.json').read_text())==written(specs[0])
    assert load_runs(tmp_path/'2')[0].run.nunique()==2 and (tmp_path/'2'/run_id(specs[0])/'run.ipynb').exists()

def test_a_failed_run_keeps_its_notebook_and_gives_its_reason(runs):
    s = Spec(cycles=0, epochs=5, lr=1e9)
    assert 'diverged' in execute_run(s, runs)
    assert 'diverged' in (runs/run_id(s)/'run.ipynb').read_text()
