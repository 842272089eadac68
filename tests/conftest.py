"What the tests share: a folder of runs of their own, tiny data and drawn scenes, and the commands as a user calls them"
import os,signal,subprocess,sys,warnings
from contextlib import contextmanager,redirect_stderr,redirect_stdout
from importlib.metadata import entry_points
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np, pytest, torch

torch.set_num_threads(1)
sys.path.append(str(Path(__file__).resolve().parent.parent/'tools'))

@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    "An empty runs folder, made the setting `runs_root`"
    monkeypatch.setenv('DAL_RUNS_ROOT', str(tmp_path/'runs'))
    monkeypatch.setenv('DAL_DATA_ROOT', str(tmp_path/'data'))
    return tmp_path/'runs'

@pytest.fixture
def arrays():
    "A learnable toy: 4 classes of 8 x 8 images, told apart by a bright row"
    rng = np.random.default_rng(0)
    y = np.arange(120)%4
    x = rng.integers(0, 100, (120, 8, 8, 3), dtype=np.uint8)
    x[np.arange(120),2*y] += 150
    return dict(x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:])

@pytest.fixture(scope='session')
def drawn(tmp_path_factory):
    "A folder of 20 + 4 drawn scenes of 48 x 48 pixels: images/train, images/val, labels/train, labels/val"
    from PIL import Image
    from deep_al_illusions.segment.scenes import scene
    root = tmp_path_factory.mktemp('drawn')
    for i in range(24):
        for o,a in zip(('images', 'labels'), scene(i, size=48)):
            p = root/o/('train' if i<20 else 'val')/f'{i}.png'
            p.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(a).save(p)
    return root

class Completed(NamedTuple):
    "What a command came to; the fields of `subprocess.CompletedProcess`"
    returncode:int
    stdout:str
    stderr:str

@contextmanager
def as_started(cwd, env, argv):
    "What a process that has just started finds: a folder, variables, arguments, and the warnings as Python sets them"
    terminate = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as m,warnings.catch_warnings():
        m.chdir(cwd or os.getcwd())
        m.setattr(sys, 'argv', argv)
        for k,v in (env or {}).items(): m.setenv(k, v)
        warnings.resetwarnings()
        for quiet in hidden_by_python: warnings.simplefilter('ignore', quiet)
        try: yield
        finally: signal.signal(signal.SIGTERM, terminate)

hidden_by_python = DeprecationWarning,PendingDeprecationWarning,ImportWarning,ResourceWarning

def status_of(main):
    "What a console script that calls `main` would end with"
    try: code = main()
    except SystemExit as e: code = e.code
    if isinstance(code, str): print(code, file=sys.stderr)
    return 1 if isinstance(code, str) else code or 0

def called_here(cmd, args, cwd=None, env=None):
    "Call the function behind a console script in this process, which spares the seconds in which a new one imports"
    script, = entry_points(group='console_scripts', name=cmd)
    out,err = StringIO(),StringIO()
    with as_started(cwd, env, [cmd, *args]),redirect_stdout(out),redirect_stderr(err): code = status_of(script.load())
    return Completed(code, out.getvalue(), err.getvalue())

@pytest.fixture
def cli():
    """Call a console script of this environment, and return its status and what it said

    It is called in this process, unless the test is about a process: `process=True`"""
    def call(cmd, *args, process=False, env=None, **kw):
        script,args = Path(sys.executable).parent/cmd,[str(o) for o in args]
        assert script.exists(), f'{cmd} is not installed'
        if not process: return called_here(cmd, args, env=env, **kw)
        return subprocess.run([script, *args], capture_output=True, text=True, env=os.environ|(env or {}), **kw)
    return call
