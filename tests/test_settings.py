"Settings, grids and arguments as people write them: read right, or refused in one line; and copies of run folders"
import json,shutil,warnings
from pathlib import Path

import numpy as np, pandas as pd, pytest

from deep_al_illusions.cli import main
from deep_al_illusions.study.basics import digest,InputError
from deep_al_illusions.study.machine import settings
from deep_al_illusions.study.files import write_json
from deep_al_illusions.study.spec import run_id,Spec
from deep_al_illusions.loop.loop import run
from deep_al_illusions.loop.runs import load_notes,load_runs,run_folders
from deep_al_illusions.tasks.options import Options
from deep_al_illusions.many.presets import combinations,runs_of
from deep_al_illusions.many.status import overview,status

root = Path(__file__).resolve().parent.parent

@pytest.fixture
def below(tmp_path, monkeypatch):
    "A project folder with `settings.ini` in it, and a folder below, where the work is done"
    for o in 'DAL_RUNS_ROOT', 'DAL_DATA_ROOT': monkeypatch.delenv(o)
    folder = tmp_path/'project'/'work'
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return lambda text: (tmp_path/'project'/'settings.ini').write_bytes(text if isinstance(text, bytes) else text.encode())

# chkstyle: ignore-node
misspelt = {
    'DAL_RUNS_ROT': 'DAL_RUNS_ROOT', 'DAL_RUNROOT': 'DAL_RUNS_ROOT', 'dal_threads': 'DAL_THREADS', 'Dal_Device': 'DAL_DEVICE',
    'DAL_WORKER': 'DAL_WORKERS', 'DAL_DATAROOT': 'DAL_DATA_ROOT', 'DAL_CHECKPOINTS_S': 'DAL_CHECKPOINT_S', 'DAL_AT_ONE': 'DAL_AT_ONCE'}

@pytest.mark.parametrize('name', misspelt)
def test_a_misspelt_variable_is_named_with_the_right_one(name, monkeypatch):
    monkeypatch.setenv(name, '1')
    with pytest.raises(InputError, match=f'{name}, which is no setting; did you mean {misspelt[name]}'): settings()

def test_a_variable_of_another_program_is_mentioned_and_changes_nothing(monkeypatch):
    want = settings()
    monkeypatch.setenv('DAL_HOMEPAGE', 'x')
    with pytest.warns(UserWarning, match='DAL_HOMEPAGE, which is no setting and is not read'): assert settings()==want

# chkstyle: ignore-node
read_right = {
    'utf-16': ('[DEFAULT]\nthreads = 3\n'.encode('utf-16'), 'threads', 3),
    'line ends of Windows': ('[DEFAULT]\r\nthreads = 3\r\n', 'threads', 3),
    'capitals': ('[DEFAULT]\nThreads = 3\n', 'threads', 3),
    'colon': ('[DEFAULT]\nthreads: 3\n', 'threads', 3),
    'number in quotes': ('[DEFAULT]\nthreads = "3" ; mine\n', 'threads', 3),
    'nothing said': ('[DEFAULT]\nthreads =\n', 'threads', 1),
    'nothing but a comment': ('[DEFAULT]\nthreads = ; three?\n', 'threads', 1),
    'section of its own': ('[DEFAULT]\nlib_name = other\nthreads = 9\n[deep_al_illusions]\nthreads = 3\n', 'threads', 3),
    'per cent': ('[DEFAULT]\nruns_root = 100%\n', 'runs_root', '100%'),
    'hash in quotes': ('[DEFAULT]\nruns_root = "run # 1"\n', 'runs_root', 'run # 1'),
    'hash in a name': ('[DEFAULT]\nruns_root = run#1\n', 'runs_root', 'run#1'),
    'umlaut': ('[DEFAULT]\nruns_root = Läufe\n', 'runs_root', 'Läufe'),
    'no limit': ('[DEFAULT]\ncache_gb = inf\n', 'cache_gb', float('inf')),
    'another program, nothing of ours': ('[DEFAULT]\nversion = 1\n[tool]\nx = 100%\n', 'threads', 1),
    'no ini file at all': ('user=me\nkey value\n', 'threads', 1),
    'not even text': (b'\xff\x00\xfe[x', 'threads', 1)}

@pytest.mark.parametrize('case', read_right)
def test_a_settings_file_is_read_right_or_passed_over(case, below):
    text,name,want = read_right[case]
    below(text)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        got = getattr(settings(), name)
    assert got==(Path.cwd().parent/want if name=='runs_root' else want)

# chkstyle: ignore-node
refused = {
    'twice': ('[DEFAULT]\nthreads = 1\nthreads = 2\n', "cannot be read: .*option 'threads'"),
    'no section': ('threads = 2\n', 'cannot be read: File contains no section headers'),
    'on two lines': ('[DEFAULT]\nruns_root = a\n  b\n', 'line break'),
    'misspelt in its section': ('[deep_al_illusions]\nthread = 2\n', "did you mean 'threads'"),
    'foreign in its section': ('[deep_al_illusions]\nlr = 2\n', "unknown setting in .*'lr'"),
    'variable': ('[DEFAULT]\nruns_root = ${NOWHERE_SET}/runs\n', r'names \$\{NOWHERE_SET\}, which the environment does not set'),
    'address': ('[DEFAULT]\nruns_root = s3://bucket/runs\n', 'must be a folder on a disk'),
    'user': ('[DEFAULT]\nruns_root = ~nobody_of_this_name/runs\n', 'no home folder'),
    'comma': ('[DEFAULT]\ncache_gb = 2,5\n', "cache_gb must be a number, not '2,5'"),
    'not a number': ('[DEFAULT]\ncheckpoint_s = nan\n', 'checkpoint_s must be at least 0'),
    'a card': ('[DEFAULT]\ndevice = cuda:1\n', 'CUDA_VISIBLE_DEVICES=1'),
    'a device of another kind': ('[DEFAULT]\ndevice = mps\n', "unknown device 'mps'")}

@pytest.mark.parametrize('case', refused)
def test_a_settings_file_is_refused_in_one_line(case, below):
    text,words = refused[case]
    below(text)
    with pytest.raises(InputError, match=words) as e: settings()
    assert '\n' not in str(e.value)

def test_the_file_of_another_program_is_not_obeyed_and_ours_above_it_is(below):
    below('[DEFAULT]\nthreads = 3\n')
    Path('settings.ini').write_text('[DEFAULT]\nlib_name = mine\nthreads = 7\n')
    with pytest.warns(UserWarning, match='of another program, since it has lib_name; not read'): assert settings().threads==3

def test_the_settings_file_of_this_project_is_obeyed(below, monkeypatch):
    monkeypatch.chdir(root/'nbs')
    assert settings().runs_root==root/'runs' and settings().cache_gb==50

def test_folders_of_variables_are_expanded(below, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    for said,want in ('$HOME/r', tmp_path/'r'),('${HOME}/r ', tmp_path/'r'),('~/r', tmp_path/'r'),('"r q"', Path('r q')):
        monkeypatch.setenv('DAL_RUNS_ROOT', said)
        assert settings().runs_root==want

# chkstyle: ignore-node
grids = {
    'seconds': ('lr: 190:20:30.15', "lr must be a number, not '190:20:30.15'"),
    'y': ('nesterov: y', "nesterov must be true or false, not 'y'"),
    'hexadecimal': ('trial: 0x1F', "trial must be a whole number, not '0x1F'"),
    'octal with underscores': ('initial: 0_40', '0_40 is 32 in YAML'),
    'octal, negative': ('trial: -010', '-010 is -8 in YAML'),
    'a time': ('budget: 2001-12-14t21:59:43', "unknown budget '2001-12-14t21:59:43'"),
    'not a number': ('lr: .NaN', "lr must be a number, not '.NaN'"),
    'text with commas': ('trial: "1, 2"', r"a list is written \[1, 2\]"),
    'null in a list': ('strategy: [random, ~]', 'null stands for no value'),
    'false': ('ssl: false', 'ssl must be text, not False'),
    'twice in braces': ('- {task: digits, task: digit_pairs}', 'task stands twice in the grid of line 1'),
    'twice in another grid': ('- {task: digits}\n- trial: 1\n  trial: 2', 'trial stands twice in the grid of line 2'),
    'a map': ('lr: {a: 1}', 'lr must be a number, not'),
    'object of Python': ('task: !!python/object:os.system x', 'is not YAML'),
    'unknown alias': ('task: *x', 'is not YAML'),
    'three documents': ('task: digits\n---\ntask: digits\n---\ntask: digits', '3 documents'),
    'hash behind a path in a list': ('task: [npz:a.npz, npz:b #2.npz]', 'is a comment and not part of npz:b'),
    'tab in double quotes': ('init: "D:\\train"', 'in single quotes a backslash is a backslash'),
    'length twice': ('{epochs: 3, iterations: 40}', 'a training has one length'),
    'capital': ('Strategy: random', "did you mean 'strategy'"),
    'hyphen': ('per-cycle: 20', "did you mean 'per_cycle'"),
    'words': ('just words', 'expected "parameter: value"')}

@pytest.mark.parametrize('case', grids)
def test_a_grid_with_two_readings_is_refused_in_one_line(case, tmp_path):
    text,words = grids[case]
    (tmp_path/'g.yaml').write_text(text)
    with pytest.raises(InputError, match=words) as e: runs_of(str(tmp_path/'g.yaml'))
    assert '\n' not in str(e.value) and str(e.value).startswith(str(tmp_path/'g.yaml'))

# chkstyle: ignore-node
fine = {
    'eight and nine': ('trial: [08, 09]', 'trial', [8, 9]),
    'one': ('trial: 01', 'trial', [1]),
    'power': ('initial: 1e2', 'initial', [100]),
    'on': ('nesterov: on', 'nesterov', [True]),
    'in quotes': ("init: '010'", 'init', ['010']),
    'json': ('{"trial": [1, 2]}', 'trial', [1, 2]),
    'Windows': ('task: digits\r\ntrial: 2\r\n', 'trial', [2]),
    'comment': ('lr: .1 # the usual', 'lr', [.1]),
    'comment behind a path': ('init: a/b.pth # mine', 'init', ['a/b.pth']),
    'path in single quotes': (r"init: 'C:\new'", 'init', [r'C:\new']),
    'hash in quotes': ("init: 'a/b #1.pth'", 'init', ['a/b #1.pth']),
    'comma in a path': ('init: a,b.pth', 'init', ['a,b.pth']),
    'no epochs': ('{epochs: null, iterations: 40}', 'iterations', [40]),
    'merged, one changed': ('- &b {trial: 1, lr: .1}\n- {<<: *b, trial: 2}', 'trial', [1, 2]),
    'ends with a line': ('trial: 3\n---\n', 'trial', [3])}

@pytest.mark.parametrize('case', fine)
def test_a_grid_with_one_reading_is_read_so(case, tmp_path):
    text,name,want = fine[case]
    (tmp_path/'g.yaml').write_bytes(text.encode())
    assert [getattr(s, name) for s in runs_of(str(tmp_path/'g.yaml'))]==want

def test_text_and_numbers_make_the_same_run():
    a,b = dict(lr='1e-3', trial='2', nesterov='off', initial='20'),dict(lr=.001, trial=2, nesterov=False, initial=20)
    assert [run_id(o) for o in combinations(a)]==[run_id(o) for o in combinations(b)]

def test_a_file_with_the_name_of_a_preset_is_mentioned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('strategies').write_text('trial: 7')
    with pytest.warns(UserWarning, match='strategies is the preset; for the file of that name give ./strategies'): assert len(runs_of('strategies'))==9
    assert [s.trial for s in runs_of('./strategies')]==[7]

# chkstyle: ignore-node
typed = {
    'minus sign': ('run', ['−−trial', '2'], '−−trial begins with a dash of another kind; write --trial'),
    'en dash': ('run', ['–trial', '2'], 'write --trial'),
    'em dash': ('run', ['—trial=2'], 'write --trial'),
    'two spellings of one': ('run', ['--per-cycle', '20', '--per_cycle', '30'], '--per_cycle is given twice'),
    'the same value twice': ('run', ['--trial', '2', '--trial', '2'], '--trial is given twice'),
    'empty folder': ('run', ['--runs', ''], '--runs is empty'),
    'folder of a variable': ('run', ['--runs', '$NOWHERE_SET/x'], 'names $NOWHERE_SET, which the environment does not set'),
    'folder elsewhere': ('run', ['--runs', 'gs://a/b'], '--runs must be a folder on a disk'),
    'length twice': ('run', ['--epochs', '3', '--iterations', '40'], 'a training has one length'),
    'folder twice': ('report', ['a', '--runs', 'b'], 'the folder is given twice, a and --runs b'),
    'keep twice': ('prune', ['--keep', '1', '--keep', '2'], '--keep is given twice'),
    'empty folder of a report': ('report', [''], '--runs is empty')}

@pytest.mark.parametrize('case', typed)
def test_arguments_with_two_readings_are_refused_in_one_line(case, runs, capsys, monkeypatch):
    command,args,words = typed[case]
    monkeypatch.setattr('warnings.showwarning', print)
    with pytest.raises(SystemExit) as e: main([command, *args])
    err = capsys.readouterr().err
    assert e.value.code==2 and words in err and err.strip().count('\n')==0 and not runs.exists(), err

def test_one_length_is_enough(runs):
    assert Spec(epochs=3, iterations=0).epochs==3 and [s.iterations for s in combinations(dict(epochs=3, iterations=0))]==[0]

@pytest.fixture
def three(runs):
    "Two runs and what copying makes of them"
    a,b = [run(Spec(trial=t, cycles=1, epochs=1), say=lambda o: None) for t in (1, 2)]
    for o in f'{a.name}-copy', f'{a.name} (2)', f'copy of {a.name}': shutil.copytree(a, runs/o)
    return a,b

def test_copies_of_a_run_folder_count_once(three, runs):
    with pytest.warns(UserWarning, match='3 copies of run folders in .* are left out'): cycles,picks = load_runs(runs)
    assert {*cycles.run}=={o.name for o in three} and len(cycles)==4 and {*picks.run}=={*cycles.run}
    with pytest.warns(UserWarning, match='3 copies'): assert {*load_notes(runs, 'audit').run}=={o.name for o in three}
    with pytest.warns(UserWarning, match='3 copies'): assert {*status(runs).run}=={o.name for o in three}
    with pytest.warns(UserWarning, match='3 copies'): assert overview(runs).startswith('2 runs in')

def test_a_run_folder_that_was_renamed_counts(three, runs):
    for o in runs.glob('*(2)'), runs.glob('copy of*'): shutil.rmtree(next(o))
    shutil.rmtree(three[0])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert {*load_runs(runs)[0].run}=={f'{three[0].name}-copy', three[1].name}

def test_runs_of_a_version_with_other_settings_are_listed_and_their_copies_are_not(runs):
    folder = run(Spec(cycles=0, epochs=1), say=lambda o: None)
    spec,was,done = [json.loads((folder/o).read_text()) for o in ('spec.json', 'provenance.json', 'DONE')]
    spec = {k: v for k,v in spec.items() if k!='ema'}|dict(gone=3)
    old = folder.rename(runs/f'digits-random-low-t1-{digest(spec)[:8]}')
    write_json(old/'spec.json', spec)
    write_json(old/'provenance.json', was|dict(numbers='0.0.9', versions=dict(deep_al_illusions='0.0.9')))
    write_json(old/'DONE', done|{o: digest((old/o).read_bytes()) for o in ('spec.json', 'provenance.json')})
    shutil.copytree(old, runs/'backup')
    with pytest.warns(UserWarning) as said: cycles = load_runs(runs)[0]
    said = ' '.join(str(o.message) for o in said)
    assert {*cycles.run}=={old.name} and '1 copies of run folders' in said and 'are of version 0.0.9' in said
    with warnings.catch_warnings(): 
        warnings.simplefilter('ignore')
        assert [o.name for o in run_folders(runs)]==[old.name]

def test_folders_whose_settings_cannot_be_read_are_no_copies_of_each_other(runs):
    for o in 'a', 'b':
        (runs/o).mkdir(parents=True)
        (runs/o/'spec.json').write_text('{')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert [o.name for o in run_folders(runs)]==['a', 'b']
    with pytest.warns(UserWarning, match='is not finished'): assert isinstance(load_runs(runs)[0], pd.DataFrame)

@pytest.mark.parametrize('heading', ['default', 'Default', 'settings', 'deep-al-illusions', 'Deep_AL_Illusions', 'deep_al_illusions ', 'dal', 'tool.deep_al_illusions'])
def test_settings_under_another_heading_are_refused(below, heading):
    below(f'[{heading}]\nthreads = 3\n')
    with pytest.raises(InputError, match='are under .deep_al_illusions.'): settings()

def test_settings_beside_ours_are_mentioned(below):
    below('[DEFAULT]\nthreads = 3\n[deep_al_illusions]\nworkers = 2\n')
    with pytest.warns(UserWarning, match='threads under .DEFAULT. is not read'): said = settings()
    assert (said.threads, said.workers)==(1, 2)

@pytest.mark.parametrize('name,v', [('DAL_THREADS', '3000000000'), ('DAL_THREADS', '9'*20), ('DAL_WORKERS', '5000')])
def test_more_than_there_can_be(monkeypatch, name, v):
    monkeypatch.setenv(name, v)
    with pytest.raises(InputError, match='must be at most'): settings()

@pytest.mark.parametrize('line,want', [('breaks: flip,rotate', ['flip,rotate']), ('breaks: [none, flip]', ['none', 'flip']), ('range: 0,255', ['0,255']), ('breaks: [flip,rotate]', 'breaks: flip,rotate'), ('range: [0, 255]', 'range: 0,4095')])
def test_a_pair_in_a_grid_is_one_value(tmp_path, line, want):
    (tmp_path/'grid.yaml').write_text(f'epochs: 1\ncycles: 0\n{line}\n')
    if isinstance(want, list): assert [getattr(s, line.partition(':')[0]) for s in runs_of(str(tmp_path/'grid.yaml'))]==want
    else:
        with pytest.raises(InputError, match=f'a list stands for several runs; for one run write {want}'): runs_of(str(tmp_path/'grid.yaml'))

@pytest.mark.parametrize('name', ['Flip', 'FLIP', 'flip', 'rotate, flip'])
def test_operations_in_any_case(name): assert 'flip' in Options(breaks=name).breaks

@pytest.mark.parametrize('name', ['hflip', 'horizontal_flip', 'mirror', 'no', 'flip rotate', 'flip;rotate', '[flip]', 'FLIP,none', 'scale'])
def test_operations_that_there_are_not(name):
    with pytest.raises(InputError, match='unknown operation'): Options(breaks=name)

def test_a_run_of_other_data_that_was_moved_away_is_no_copy(runs, tmp_path):
    rng = np.random.default_rng(0)
    found = []
    for k in range(2):
        x,y = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8),np.arange(40)%2
        np.savez(tmp_path/'a.npz', x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
        folder = run(Spec(task=f'npz:{tmp_path}/a.npz', initial=4, cycles=0, iterations=1, bs=4), say=lambda o: None)
        if not k: folder.rename(runs/f'{folder.name}-old')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert [o.name for o in run_folders(runs)]==[folder.name, f'{folder.name}-old']

def test_a_whole_copy_stands_for_an_original_that_was_cut(runs):
    folder = run(Spec(cycles=0, epochs=1), say=lambda o: None)
    shutil.copytree(folder, runs/'copy')
    (folder/'cycles.csv').write_text('')
    with pytest.warns(UserWarning, match='1 copies'): assert [o.name for o in run_folders(runs)]==['copy']
