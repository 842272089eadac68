"The command line: one clear line and status 2 for every mistake, and nothing written"
import subprocess,sys

import matplotlib, nbformat, numpy as np, pandas as pd, pytest, torch

matplotlib.use('agg')
import matplotlib.pyplot as plt

from deep_al_illusions.core import Spec
from deep_al_illusions.data import load_task
from deep_al_illusions.loop import run
from deep_al_illusions.models import build
from deep_al_illusions.runner import dal_run, dal_sweep, notebook, report_notebooks, save_tables
from deep_al_illusions.segdata import write_voc

# chkstyle: ignore-node
mistakes = {
    'task': (['--task', 'digit'], "unknown task 'digit'; did you mean 'digits'"),
    'strategy': (['--strategy', 'entrpy'], "did you mean 'entropy'"),
    'scale': (['--scale', 'huge'], "unknown scale 'huge'"),
    'budget name': (['--budget', 'lo'], "did you mean 'low'"),
    'parameter': (['--strategi', 'entropy'], "did you mean '--strategy'"),
    'value': (['--trial', 'one'], 'trial must be a whole number'),
    'range': (['--epochs', '0'], 'epochs must be at least 1'),
    'ssl': (['--ssl', 'udda'], "unknown ssl 'udda'; did you mean 'uda'"),
    'augment': (['--augment', 'stong'], "did you mean 'strong'"),
    'setting of another regime': (['--confidence', '.8'], 'add ssl=uda'),
    'setting out of range': (['--ssl', 'uda', '--confidence', '2'], 'confidence must be in 0..1'),
    'tsa': (['--ssl', 'uda', '--tsa', 'cosine'], "unknown tsa 'cosine'"),
    'init': (['--init', 'nowhere.pth'], 'no weights there'),
    'subset': (['--subset', '4'], 'subset 4 is smaller than per_cycle 20'),
    'pixels': (['--model', 'resnet18@8'], 'at least 32 pixels'),
    'model': (['--model', 'wrn-11-1'], 'depth must be'),
    'missing npz': (['--task', 'npz:nowhere.npz'], 'no such file'),
    'no path': (['--task', 'npz'], 'needs a path'),
    'missing folder': (['--task', 'folder:nowhere'], 'no such file'),
    'budget': (['--initial', '2000'], 'beyond the pool of 1297'),
    'device': (['--device', 'tpu'], "unknown device 'tpu'"),
    'stray': (['digits'], "unexpected 'digits'")}

def here(command, args, folder, capsys, monkeypatch):
    "A command called in this process, which is faster than a new one; returns status and standard error"
    monkeypatch.chdir(folder)
    monkeypatch.setattr('warnings.showwarning', print)
    with pytest.raises(SystemExit) as e: command([str(o) for o in args])
    return e.value.code,capsys.readouterr().err

@pytest.mark.parametrize('case', mistakes)
def test_dal_run(case, runs, tmp_path, capsys, monkeypatch):
    args,words = mistakes[case]
    code,err = here(dal_run, args, tmp_path, capsys, monkeypatch)
    assert code==2 and words in err and err.strip().count('\n')==0, err
    assert not runs.exists() and not (tmp_path/'data').exists()

def test_a_mistake_on_a_real_command_line(cli, runs, tmp_path):
    r = cli('dal-run', '--task', 'digit', cwd=tmp_path)
    assert r.returncode==2 and "did you mean 'digits'" in r.stderr and r.stderr.strip().count('\n')==0, r.stderr
    assert not runs.exists()

def test_labels_out_of_range_and_corrupt_archive(cli, runs, tmp_path, arrays):
    np.savez(tmp_path/'a.npz', **arrays|dict(classes=np.array(['x', 'y'])))
    (tmp_path/'b.npz').write_bytes((tmp_path/'a.npz').read_bytes()[:999])
    for f,words in ('a', 'labels out of range'),('b', 'not a readable'):
        r = cli('dal-run', '--task', f'npz:{f}.npz', cwd=tmp_path)
        assert r.returncode==2 and words in r.stderr and r.stderr.strip().count('\n')==0, r.stderr
    assert not runs.exists()

def test_a_runs_folder_beneath_a_file(cli, tmp_path):
    (tmp_path/'file').write_text('')
    for cmd,args in ('dal-run', []),('dal-sweep', ['strategies']):
        r = cli(cmd, *args, '--runs', tmp_path/'file'/'runs')
        assert r.returncode==2 and 'cannot make the run' in r.stderr and r.stderr.strip().count('\n')==0, r.stderr

# chkstyle: ignore-node
sweeps = {
    'preset': (['strategis'], 'no preset and no file'),
    'key': (['g.yaml'], "did you mean 'strategy'"),
    'not a grid': (['h.yaml'], 'expected "parameter: value"'),
    'not yaml': (['i.yaml'], 'is not YAML'),
    'scale': (['strategies', '--scale', 'huge'], "unknown scale 'huge'"),
    'workers': (['strategies', '--workers', 'two'], 'invalid int value'),
    'no workers': (['strategies', '--workers', '-1'], 'workers must be at least 1'),
    'no values': (['j.yaml'], 'the grid gives no value'),
    'nested': (['k.yaml'], 'scale must be text')}

@pytest.mark.parametrize('case', sweeps)
def test_dal_sweep(case, runs, tmp_path, capsys, monkeypatch):
    (tmp_path/'g.yaml').write_text('strategi: random')
    (tmp_path/'h.yaml').write_text('- just\n- words')
    (tmp_path/'i.yaml').write_text('a: [1, 2')
    (tmp_path/'j.yaml').write_text('trial: []')
    (tmp_path/'k.yaml').write_text('scale: [[pocket]]')
    args,words = sweeps[case]
    code,err = here(dal_sweep, args, tmp_path, capsys, monkeypatch)
    assert code==2 and words in err and err.strip().count('\n')==0, err
    assert not runs.exists()

def test_dal_report_of_nothing(cli, tmp_path):
    r = cli('dal-report', tmp_path/'nowhere')
    assert r.returncode==2 and 'no folder' in r.stderr
    r = cli('dal-report', tmp_path)
    assert r.returncode==2 and 'no finished runs' in r.stderr

def test_a_report_keeps_studies_apart_and_touches_nothing_else(cli, runs, tmp_path):
    (tmp_path/'68_selection.ipynb').write_text('mine')
    for s in ('random', 1), ('margin', 1), ('random', 2): run(Spec(strategy=s[0], epochs=s[1], cycles=1), say=lambda o: None)
    r = cli('dal-report', runs, '--out', tmp_path/'r.html')
    page = (tmp_path/'r.html').read_text()
    assert r.returncode==0 and 'epochs 1.' in page and 'epochs 2.' in page and '(one trial)' in page and 'mean of 2' not in page
    assert (tmp_path/'68_selection.ipynb').read_text()=='mine' and 'src="http' not in page and '<script' not in page

# chkstyle: ignore-node
parts = {
    'one run, nothing bought': [dict(cycles=0)],
    'no random': [dict(strategy='entropy', cycles=1), dict(strategy='entropy', ssl='uda', cycles=1)],
    'random alone in three ways': [dict(budget='large', cycles=1, **o) for o in (dict(augment='none'), dict(augment='strong'), dict(ssl='uda'))],
    'of different length': [dict(augment='strong', cycles=1), dict(ssl='uda', cycles=2), dict(init='digits', augment='strong', cycles=1)],
    'weak beside strong': [dict(augment=o, ssl='none', cycles=1) for o in ('weak', 'strong')]+[dict(ssl='uda', augment='strong', cycles=1)]}

def drawn(runs, names=report_notebooks):
    "Every cell of the report notebooks, executed here; returns the text that they would show"
    said = []
    for name in names:
        env = {}
        for c in nbformat.read(notebook(name), 4).cells:
            if c.cell_type!='code': continue
            exec(c.source, env)
            if 'parameters' in c.metadata.get('tags', []): env |= dict(runs=str(runs or ''), Markdown=said.append, HTML=said.append)
        plt.close('all')
    return '\n'.join(said)

@pytest.mark.parametrize('case', parts)
def test_a_report_of_whatever_was_run(case, runs, monkeypatch):
    monkeypatch.setattr('warnings.showwarning', print)
    monkeypatch.setattr('deep_al_illusions.train.first_weights', lambda spec, root: build(spec.model, load_task('digits'), torch.Generator())[1].state_dict())
    for kw in parts[case]: run(Spec(iterations=2, **kw), say=lambda o: None)
    assert 'finished runs in' in drawn(runs, [o for o in report_notebooks if o[:2] not in ('64', '67')])

# chkstyle: ignore-node
pixel_parts = {
    'whole images and polygons': [dict(), dict(level='polygon', strategy='entropy'), dict(ssl='s4gan', cycles=0), dict(ssl='s4gan', cycles=0, control=True)],
    'no random': [dict(strategy='entropy'), dict(strategy='entropy', level='polygon')],
    'candidates and other labels': [dict(level='polygon'), dict(level='polygon', candidates='prediction'), dict(initial=1, cycles=0), dict(initial=1, cycles=0, labels='original'), dict(strategy='entropy', aggregate='max'), dict(strategy='entropy')]}

@pytest.mark.parametrize('case', pixel_parts)
def test_a_report_of_whatever_segmentation_was_run(case, runs, tmp_path, monkeypatch):
    monkeypatch.setattr('warnings.showwarning', print)
    write_voc(tmp_path/'voc', 40, 6, n_fg=3, size=40)
    for kw in pixel_parts[case]: run(Spec(**dict(task=f'voc:{tmp_path}/voc', iterations=12, crop=33, cycles=1, initial=.2, per_cycle=.2)|kw), say=lambda o: None)
    text = drawn(runs, [o for o in report_notebooks if o[:2] in ('65', '66', '68')]+['67_studies']*('candidates' in case))
    assert 'finished runs in' in text and 'nan' not in text, text
    save_tables(runs, tmp_path)
    assert len(pd.read_csv(tmp_path/'ledger.csv')) and {o.name.split('__')[0] for o in (tmp_path/'panels').glob('*')}<={o.name for o in runs.iterdir()}

def test_the_tables_that_come_with_the_package_make_every_figure(runs, monkeypatch):
    monkeypatch.setattr('warnings.showwarning', print)
    text = drawn(None)
    assert 'come with the package' in text and not [o for o in text.splitlines() if 'Not run yet' in o and 'dal-sweep' not in o]

def test_a_settings_file_that_is_no_settings_file(cli, tmp_path):
    (tmp_path/'settings.ini').write_text('threads = 1')
    r = cli('dal-run', cwd=tmp_path)
    assert r.returncode==2 and 'settings.ini cannot be read' in r.stderr and r.stderr.strip().count('\n')==0

def test_uneven_first_set_says_so(cli, runs):
    r = cli('dal-run', '--initial', '15', '--cycles', '0', '--epochs', '1')
    assert r.returncode==0 and 'note: 15 first labels over 10 classes cannot be equal: 1 to 2' in r.stderr, r.stderr

@pytest.mark.parametrize('cmd', ['dal-run', 'dal-sweep', 'dal-report'])
def test_help(cli, cmd): assert cmd in cli(cmd, '--help').stdout

def test_acquire_is_light():
    code = "import torch,sys,time; t=time.time(); import deep_al_illusions.acquire; print(time.time()-t, *[m for m in ('fastai','torchvision') if m in sys.modules])"
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.split()
    assert len(out)==1 and float(out[0])<2, out
