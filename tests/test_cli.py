"The command line: one clear line and status 2 for every mistake, and nothing written"
import subprocess,sys

import numpy as np, pytest

# chkstyle: ignore-node
mistakes = {
    'task': (['--task', 'digit'], "unknown task 'digit'; did you mean 'digits'"),
    'strategy': (['--strategy', 'entrpy'], "did you mean 'entropy'"),
    'scale': (['--scale', 'huge'], "unknown scale 'huge'"),
    'budget name': (['--budget', 'lo'], "did you mean 'low'"),
    'parameter': (['--strategi', 'entropy'], "did you mean '--strategy'"),
    'value': (['--trial', 'one'], 'trial must be a whole number'),
    'range': (['--epochs', '0'], 'epochs must be at least 1'),
    'ssl': (['--ssl', 'uda'], "unknown ssl 'uda'"),
    'model': (['--model', 'wrn-11-1'], 'depth must be'),
    'missing npz': (['--task', 'npz:nowhere.npz'], 'no such file'),
    'no path': (['--task', 'npz'], 'needs a path'),
    'missing folder': (['--task', 'folder:nowhere'], 'no such file'),
    'budget': (['--initial', '2000'], 'beyond the pool of 1297'),
    'device': (['--device', 'tpu'], "unknown device 'tpu'"),
    'stray': (['digits'], "unexpected 'digits'")}

@pytest.mark.parametrize('case', mistakes)
def test_dal_run(case, cli, runs, tmp_path):
    args,words = mistakes[case]
    r = cli('dal-run', *args, cwd=tmp_path)
    assert r.returncode==2 and words in r.stderr and r.stderr.strip().count('\n')==0, r.stderr
    assert not runs.exists() and not (tmp_path/'data').exists()

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
    'workers': (['strategies', '--workers', 'two'], 'invalid int value')}

@pytest.mark.parametrize('case', sweeps)
def test_dal_sweep(case, cli, runs, tmp_path):
    (tmp_path/'g.yaml').write_text('strategi: random')
    (tmp_path/'h.yaml').write_text('- just\n- words')
    (tmp_path/'i.yaml').write_text('a: [1, 2')
    args,words = sweeps[case]
    r = cli('dal-sweep', *args, cwd=tmp_path)
    assert r.returncode==2 and words in r.stderr and r.stderr.strip().count('\n')==0, r.stderr
    assert not runs.exists()

def test_dal_report_of_nothing(cli, tmp_path):
    r = cli('dal-report', tmp_path/'nowhere')
    assert r.returncode==2 and 'no folder' in r.stderr

def test_uneven_first_set_says_so(cli, runs):
    r = cli('dal-run', '--initial', '15', '--cycles', '0', '--epochs', '1')
    assert r.returncode==0 and 'note: 15 first labels over 10 classes cannot be equal: 1 to 2' in r.stderr, r.stderr

@pytest.mark.parametrize('cmd', ['dal-run', 'dal-sweep', 'dal-report'])
def test_help(cli, cmd): assert cmd in cli(cmd, '--help').stdout

def test_acquire_is_light():
    code = "import torch,sys,time; t=time.time(); import deep_al_illusions.acquire; print(time.time()-t, *[m for m in ('fastai','torchvision') if m in sys.modules])"
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.split()
    assert len(out)==1 and float(out[0])<2, out
