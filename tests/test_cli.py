"The command line: one clear line and status 2 for every mistake, and nothing written"
import json,os,shutil,subprocess,sys
from dataclasses import fields
from pathlib import Path

import matplotlib, nbformat, numpy as np, pandas as pd, pytest, torch

matplotlib.use('agg')
import matplotlib.pyplot as plt
from PIL import Image

from deep_al_illusions.study.basics import digest
from deep_al_illusions.study.files import write_json
from deep_al_illusions.study.spec import Spec
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.loop.loop import run
from deep_al_illusions.learn.models import build
from deep_al_illusions import __version__
from deep_al_illusions.cli import main
from deep_al_illusions.many.index import declare,declared
from deep_al_illusions.judge.results import save_tables
from deep_al_illusions.judge.sharing import origins
from deep_al_illusions.judge.report import report_notebooks
from deep_al_illusions.study.provenance import notebook
from deep_al_illusions.segment.files import write_voc

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
    'polygons of digits': (['--level', 'polygon'], 'level polygon is for segmentation; digits sells images'),
    's4gan of digits': (['--ssl', 's4gan'], 'ssl s4gan is for segmentation; digits is classification: give none or uda'),
    'deeplab of digits': (['--model', 'deeplab-18-16'], 'model deeplab-18-16 is not for classification'),
    'tolerance of digits': (['--tolerance', '2'], 'tolerance has no meaning without a segmentation task'),
    'ens_ent of digits': (['--strategy', 'ens_ent'], 'strategy ens_ent needs ens_pixels'),
    'init of another kind': (['--init', 'scenes'], 'init scenes is segmentation, the task classification'),
    'path of scenes': (['--task', 'scenes:here'], "task 'scenes' takes no path"),
    'uda of scenes': (['--task', 'scenes', '--ssl', 'uda'], 'ssl uda is for classification; scenes is segmentation: give none or s4gan'),
    'tolerance': (['--task', 'scenes', '--tolerance', '-1'], 'tolerance must be at least 0'),
    'threshold': (['--task', 'scenes', '--threshold', '-.1'], 'threshold must be at least 0'),
    'crop': (['--task', 'scenes', '--crop', '4'], 'crop must be at least 8'),
    'level': (['--task', 'scenes', '--level', 'pixel'], "unknown level 'pixel'"),
    'last': (['--task', 'scenes', '--last', 'fit'], "did you mean 'fits'"),
    'no masks': (['--task', 'masks'], 'needs a path'),
    'one folder': (['--task', 'masks:nowhere'], 'give two folders, masks:IMAGES,LABELS'),
    'stray': (['digits'], "unexpected 'digits'")}

def here(command, args, folder, capsys, monkeypatch):
    "A command called in this process, which is faster than a new one; returns status and standard error"
    monkeypatch.chdir(folder)
    monkeypatch.setattr('warnings.showwarning', print)
    with pytest.raises(SystemExit) as e: main([command, *map(str, args)])
    return e.value.code,capsys.readouterr().err

@pytest.mark.parametrize('case', mistakes)
def test_dal_run(case, runs, tmp_path, capsys, monkeypatch):
    args,words = mistakes[case]
    code,err = here('run', args, tmp_path, capsys, monkeypatch)
    assert code==2 and words in err and err.strip().count('\n')==0, err
    assert not runs.exists() and not (tmp_path/'data').exists()

# chkstyle: ignore-node
seg_mistakes = {
    'convention': (['--convention', 'papr'], "unknown convention 'papr'; did you mean 'paper'"),
    'budget': (['--initial', '2'], 'initial of 2 clicks is below the cheapest item'),
    'budget of a cycle': (['--per_cycle', '2'], 'per_cycle of 2 clicks is below the cheapest item'),
    'share': (['--initial', '.9', '--per_cycle', '.2'], 'is beyond the pool of'),
    'clicks': (['--initial', '99999'], 'is beyond the pool of'),
    'margin': (['--strategy', 'margin'], 'strategy margin needs probs, which image level segmentation'),
    'd_score': (['--strategy', 'd_score'], 'strategy d_score needs d_score, which image level segmentation with ssl none'),
    'learn_loss of polygons': (['--strategy', 'learn_loss', '--level', 'polygon'], 'needs pred_loss, which polygon level'),
    'model': (['--model', 'wrn-10-1'], 'model wrn-10-1 is not for segmentation'),
    'depth': (['--model', 'deeplab-19'], 'no ResNet-19'),
    'init': (['--init', 'digits'], 'init digits is classification, the task segmentation'),
    'augment': (['--augment', 'strong'], 'augment strong is for classification'),
    'candidates': (['--candidates', 'prediction'], 'candidates prediction needs level=polygon'),
    'threshold': (['--threshold', '1.5'], 'no pixel has an entropy above threshold 1.5: with reading log_c it is at most 1'),
    'threshold in nats': (['--threshold', '2', '--reading', 'nats'], 'at most 1.95'),
    'crop of s4gan': (['--ssl', 's4gan', '--crop', '15'], 's4gan needs crops of at least 16 pixels'),
    'images of s4gan': (['--task', '{}@12', '--ssl', 's4gan', '--strategy', 'd_score'], 'needs images for d_score of at least 16 pixels a side, not 12'),
    'pixels': (['--task', '{}@4'], 'at least 8 x 8')}

def fails(args, words, runs, tmp_path, capsys, monkeypatch):
    "One line besides notes, status 2, and no run folder"
    code,err = here('run', args, tmp_path, capsys, monkeypatch)
    lines = [o for o in err.strip().splitlines() if o[:6]!='note: ']
    assert code==2 and words in err and len(lines)==1 and lines[0][:9]=='dal run: ', err
    assert not [*runs.glob('*/spec.json')] and not (tmp_path/'data').exists()

@pytest.mark.parametrize('case', seg_mistakes)
def test_dal_run_of_label_maps(case, drawn, runs, tmp_path, capsys, monkeypatch):
    args,words = seg_mistakes[case]
    task = f'masks:{drawn}/images,{drawn}/labels'
    args = [o.replace('{}', task) for o in args]
    named = [] if '--task' in args else ['--task', task]
    fails([*named, '--budget', 'large', *args], words, runs, tmp_path, capsys, monkeypatch)

def put(path, a): Image.fromarray(np.asarray(a, dtype=np.uint8)).save(path)

def void(root):
    for p in root.glob('labels/train/*'): put(p, np.full((48, 48), 255))
    (root/'classes.txt').write_text('a\nb\nc\nd\ne\nf\ng')

def empty(root):
    for p in root.rglob('*.png'): p.unlink()

# chkstyle: ignore-node
bad_files = {
    'size': (lambda d: put(d/'labels/train/3.png', np.zeros((40, 48))), '3.png is 48 x 48, its label map 40 x 48'),
    'class': (lambda d: put(d/'labels/val/21.png', np.full((48, 48), 9)) or (d/'classes.txt').write_text('\n'.join('abcdefg')),
        'have a class out of range, first 21.png with class 9; there are 0..6, and 255 for void'),
    'empty': (empty, 'no train images'),
    'void': (void, 'all train label maps are void (255) alone'),
    'photograph': (lambda d: (d/'images/train/3.png').unlink(), '1 of 20 label maps in'),
    'corrupt': (lambda d: (d/'labels/train/3.png').write_bytes((d/'labels/train/3.png').read_bytes()[:60]), '3.png cannot be read'),
    'corrupt photograph': (lambda d: (d/'images/val/20.png').write_bytes((d/'images/val/20.png').read_bytes()[:900]), '20.png cannot be read'),
    'no image': (lambda d: (d/'images/val/20.png').write_text('hello'), '20.png cannot be read'),
    'colours': (lambda d: put(d/'labels/train/3.png', np.full((48, 48, 3), (9,8,7))), 'the others (first 3.png) colours; export all of them in one form'),
    'no folder': (lambda d: shutil.rmtree(d/'labels'), 'no such file or folder')}

@pytest.mark.parametrize('case', bad_files)
def test_dal_run_of_bad_files(case, drawn, runs, tmp_path, capsys, monkeypatch):
    change,words = bad_files[case]
    shutil.copytree(drawn, tmp_path/'d')
    change(tmp_path/'d')
    fails(['--task', f'masks:{tmp_path}/d/images,{tmp_path}/d/labels'], words, runs, tmp_path, capsys, monkeypatch)

def test_a_class_that_no_test_image_has_is_noted(drawn, runs, tmp_path, capsys, monkeypatch):
    shutil.copytree(drawn, tmp_path/'d')
    for p in (tmp_path/'d').glob('labels/val/*'): put(p, np.where(np.array(Image.open(p))==2, 0, Image.open(p)))
    args = ['--task', f'masks:{tmp_path}/d/images,{tmp_path}/d/labels', *'--model deeplab-18-4 --iterations 1 --crop 33 --initial .3 --per_cycle .1 --cycles 1'.split()]
    code,err = here('run', args, tmp_path, capsys, monkeypatch)
    assert not code and 'note: ' in err and 'no test pixel of' in err and '2' in err.partition('no test pixel of')[2]
    assert all(o[:6]=='note: ' for o in err.strip().splitlines()), err
    assert pd.read_csv(next(runs.glob('*/cycles.csv'))).score.between(0, 1).all() and len([*runs.glob('*/DONE')])==1

def test_a_mistake_on_a_real_command_line(cli, runs, tmp_path):
    r = cli('dal', 'run', '--task', 'digit', cwd=tmp_path, process=True)
    assert r.returncode==2 and "did you mean 'digits'" in r.stderr and r.stderr.strip().count('\n')==0, r.stderr
    assert not runs.exists()

def test_labels_out_of_range_and_corrupt_archive(cli, runs, tmp_path, arrays):
    np.savez(tmp_path/'a.npz', **arrays|dict(classes=np.array(['x', 'y'])))
    (tmp_path/'b.npz').write_bytes((tmp_path/'a.npz').read_bytes()[:999])
    for f,words in ('a', 'labels out of range'),('b', 'not a readable'):
        r = cli('dal', 'run', '--task', f'npz:{f}.npz', cwd=tmp_path)
        assert r.returncode==2 and words in r.stderr and r.stderr.strip().count('\n')==0, r.stderr
    assert not runs.exists()

def test_a_runs_folder_beneath_a_file(cli, tmp_path):
    (tmp_path/'file').write_text('')
    for cmd,args in ('run', []),('sweep', ['strategies']):
        r = cli('dal', cmd, *args, '--runs', tmp_path/'file'/'runs')
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
    code,err = here('sweep', args, tmp_path, capsys, monkeypatch)
    assert code==2 and words in err and err.strip().count('\n')==0, err
    assert not runs.exists()

# chkstyle: ignore-node
watched = {
    'no folder': ('status', ['--runs', 'nowhere'], 'no folder nowhere'),
    'no grid': ('status', ['fig44', '--runs', '.'], 'no preset and no file'),
    'key': ('status', ['g.yaml', '--runs', '.'], "did you mean 'strategy'"),
    'option': ('status', ['--run', '.'], "did you mean '--runs'"),
    'keep': ('prune', ['--keep', '-1'], 'keep must be at least 0'),
    'keep what': ('prune', ['--keep', 'all'], 'invalid float value')}

@pytest.mark.parametrize('case', watched)
def test_dal_status_and_dal_prune(case, runs, tmp_path, capsys, monkeypatch):
    (tmp_path/'g.yaml').write_text('strategi: random')
    code,err = here(*watched[case][:2], tmp_path, capsys, monkeypatch)
    assert code==2 and watched[case][2] in err and err.strip().count('\n')==0 and not runs.exists(), err

def test_a_folder_of_another_program_is_left_out(runs, tmp_path, cli):
    for t in 1,2: run(Spec(trial=t, cycles=0, epochs=1), say=lambda o: None)
    folder = min(runs.glob('*/spec.json')).parent
    for name,lacks in ('spec.json', 'strategy'),('provenance.json', 'versions'):
        was = json.loads((folder/name).read_text())
        write_json(folder/name, {k: v for k,v in was.items() if k!=lacks})
        done = json.loads((folder/'DONE').read_text())
        write_json(folder/'DONE', done|{name: digest((folder/name).read_bytes())})
        r = cli('dal', 'report', '--table', tmp_path/'t.csv', '--runs', runs)
        assert r.returncode==0 and f'note: {folder.name} does not say its {lacks}; left out' in r.stderr, r.stderr
        assert len(pd.read_csv(tmp_path/'t.csv'))==1 and origins(runs).runs.str.split().str.len().sum()==(1 if lacks=='versions' else 2)
        write_json(folder/name, was)
        write_json(folder/'DONE', done)

def test_dal_report_of_nothing(cli, tmp_path):
    r = cli('dal', 'report', tmp_path/'nowhere')
    assert r.returncode==2 and 'no folder' in r.stderr
    r = cli('dal', 'report', tmp_path)
    assert r.returncode==2 and 'no finished runs' in r.stderr

def test_a_report_keeps_studies_apart_and_touches_nothing_else(cli, runs, tmp_path, monkeypatch):
    monkeypatch.setattr('deep_al_illusions.judge.report.report_notebooks', ['67_studies', '68_selection'])
    (tmp_path/'68_selection.ipynb').write_text('mine')
    for s in ('random', 1), ('margin', 1), ('random', 2): run(Spec(strategy=s[0], epochs=s[1], cycles=1), say=lambda o: None)
    r = cli('dal', 'report', runs, '--out', tmp_path/'r.html')
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

def shown(runs, names=report_notebooks):
    "Every cell of the report notebooks, executed here; returns the text that they would show"
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('deep_al_illusions.judge.opening.Markdown', said.append)
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
    monkeypatch.setattr('deep_al_illusions.learn.train.first_weights', lambda spec, root: build(spec.model, load_task('digits'), torch.Generator())[1].state_dict())
    for kw in parts[case]: run(Spec(iterations=2, **kw), say=lambda o: None)
    assert 'finished runs in' in shown(runs, [o for o in report_notebooks if o[:2] not in ('64', '67')])

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
    text = shown(runs, [o for o in report_notebooks if o[:2] in ('65', '66', '68')]+['67_studies']*('candidates' in case))
    assert 'finished runs in' in text and 'nan' not in text, text
    save_tables(runs, tmp_path)
    assert len(pd.read_csv(tmp_path/'ledger.csv')) and {o.name.split('__')[0] for o in (tmp_path/'panels').glob('*')}<={o.name for o in runs.iterdir()}

def test_the_tables_that_come_with_the_package_make_every_figure(runs, monkeypatch):
    monkeypatch.setattr('warnings.showwarning', print)
    text = shown(None)
    assert 'come with the package' in text and not [o for o in text.splitlines() if 'Not run yet' in o and 'dal sweep' not in o]

def test_a_settings_file_that_is_no_settings_file(cli, tmp_path):
    (tmp_path/'settings.ini').write_text('threads = 1')
    r = cli('dal', 'run', cwd=tmp_path)
    assert r.returncode==2 and 'settings.ini cannot be read' in r.stderr and r.stderr.strip().count('\n')==0

def test_uneven_first_set_says_so(cli, runs):
    r = cli('dal', 'run', '--initial', '15', '--cycles', '0', '--epochs', '1')
    assert r.returncode==0 and 'note: 15 first labels over 10 classes cannot be equal: 1 to 2' in r.stderr, r.stderr

commands = 'run sweep estimate status prune report'.split()

@pytest.mark.parametrize('name', commands)
def test_help(cli, name): assert f'Usage: dal {name}' in cli('dal', name, '--help').stdout

@pytest.mark.parametrize('name', commands)
def test_a_command_of_before_says_what_it_is_called_now(cli, name):
    r = cli(f'dal-{name}', '--help')
    assert r.returncode==0 and f'Usage: dal {name}' in r.stdout
    assert r.stderr.splitlines()==[f'note: dal-{name} is called dal {name} now, and is not there after 1.0']

def test_a_command_of_before_does_the_same_work(cli, runs, tmp_path):
    r = cli('dal-run', '--task', 'digit', cwd=tmp_path)
    said = r.stderr.strip().splitlines()
    assert r.returncode==2 and len(said)==2 and said[1].startswith("dal run: unknown task 'digit'"), r.stderr
    r = cli('dal-run', '--cycles', '0', '--epochs', '1')
    assert r.returncode==0 and 'run folder: ' in r.stdout and [*runs.glob('*/DONE')]
    assert '1 done, 0 running' in cli('dal', 'status').stdout

@pytest.mark.parametrize('args', [[], ['--help'], ['run', '--help'], ['sweep', '--help'], ['status', '--runs', '.'], ['swep']])
def test_what_only_reads_loads_nothing_heavy(tmp_path, args):
    code = '''import sys
from deep_al_illusions.cli import main
try: main(sys.argv[1:])
except SystemExit: pass
heavy = {'torch', 'torchvision', 'fastai', 'matplotlib', 'papermill', 'dask'}
if 'status' not in sys.argv: heavy |= {'pandas', 'numpy', 'yaml'}
print('loaded', sorted(heavy&{*sys.modules}))'''
    r = subprocess.run([sys.executable, '-c', code, *args], cwd=tmp_path, capture_output=True, text=True)
    assert r.stdout.splitlines()[-1]=='loaded []', (r.stdout, r.stderr)

def test_the_index_of_settings_agrees_with_spec():
    index = {o['name']: o for o in declared()['settings']}
    assert declared()==json.loads(json.dumps(declare())), 'run `make readme`, which writes it'
    assert {*index}=={f.name for f in fields(Spec)}-{'own'}
    for f in fields(Spec)[:-1]: assert (index[f.name]['type'], index[f.name]['default'])==(f.type.__name__, f.default) and index[f.name]['help']

def test_the_version_says_what_a_report_of_a_defect_needs(cli):
    said = cli('dal', '--version').stdout
    assert f'deep_al_illusions {__version__}, commit ' in said and f'torch {torch.__version__.partition("+")[0]}' in said and 'Python 3.' in said

def test_a_command_that_does_not_exist_names_the_closest(cli):
    r = cli('dal', 'swep')
    assert r.returncode==2 and r.stderr.startswith("dal: unknown command 'swep'; did you mean 'sweep'") and r.stderr.count('\n')==1, r.stderr
    assert 'write --version' in cli('dal', '—version').stderr

def test_a_shell_completes_commands_options_and_words(cli):
    def completed(words, i): return cli('dal', process=True, env=dict(_DAL_COMPLETE='bash_complete', COMP_WORDS=words, COMP_CWORD=str(i))).stdout
    assert 'plain,sweep' in completed('dal sw', 1)
    assert 'plain,--per-cycle' in completed('dal run --per', 2)
    assert 'plain,core_set' in completed('dal run --strategy co', 3)
    assert 'plain,fig15' in completed('dal sweep fig1', 2)

def test_status_counts_what_is_done_and_lists_it_when_asked(cli, runs):
    folder = run(Spec(cycles=0, epochs=1), say=lambda o: None)
    said = cli('dal', 'status').stdout
    assert '1 runs in' in said and '1 done' in said and folder.name not in said
    assert f'done     {folder.name}' in cli('dal', 'status', '--all').stdout

def test_acquire_is_light():
    code = "import torch,sys,time; t=time.time(); import deep_al_illusions.choose.strategies; print(time.time()-t, *[m for m in ('fastai','torchvision') if m in sys.modules])"
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.split()
    assert len(out)==1 and float(out[0])<2, out

@pytest.mark.parametrize('closed', ['>&-', '2>&-', '>&- 2>&-'])
def test_closed_streams_end_nothing(tmp_path, closed):
    command = Path(sys.executable).parent/'dal'
    r = subprocess.run(f'{command} run --runs {tmp_path}/r --cycles 0 --epochs 1 --initial 10 {closed}', shell=True, capture_output=True, text=True)
    assert r.returncode==0 and 'Traceback' not in r.stderr and [*tmp_path.glob('r/*/DONE')], r.stderr

@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs /dev/full')
def test_an_output_that_cannot_be_written_is_one_line(tmp_path):
    command = Path(sys.executable).parent/'dal'
    r = subprocess.run(f'{command} status --runs {tmp_path} > /dev/full', shell=True, capture_output=True, text=True)
    assert r.returncode==2 and r.stderr.strip()=='dal status: the output cannot be written: No space left on device', r.stderr

@pytest.mark.parametrize('name', ['numpy.py', 'yaml.py', 'torch.pyc', 'json/__init__.py', 'random/__init__.py'])
def test_what_stands_in_the_way_of_a_module_is_named(tmp_path, name):
    (tmp_path/name).parent.mkdir(exist_ok=True)
    (tmp_path/name).write_text('x')
    r = subprocess.run([Path(sys.executable).parent/'dal', 'status'], env=os.environ|dict(PYTHONPATH=str(tmp_path)), capture_output=True, text=True)
    lines = r.stderr.strip().splitlines()
    assert r.returncode==2 and len(lines)==1 and f'{tmp_path/name.partition("/")[0]} stands in front of' in lines[0], r.stderr

def test_folders_that_stand_in_the_way_of_nothing(tmp_path):
    for o in 'json', 'numpy': (tmp_path/o).mkdir()
    (tmp_path/'numpy/__init__.py').write_text('raise SystemExit("the numpy of this folder")')
    r = subprocess.run([sys.executable, '-c', 'from deep_al_illusions import _in_the_way; print([*_in_the_way()])'], env=os.environ|dict(PYTHONPATH=str(tmp_path)), capture_output=True, text=True)
    assert r.stdout.strip()=='[]', (r.stdout, r.stderr)
