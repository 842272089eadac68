"What the tests share: a folder of runs of their own, tiny data and drawn scenes, and the commands as a user calls them"
import os,subprocess,sys
from pathlib import Path

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

@pytest.fixture
def cli():
    "Call a console script of this environment; returns the completed process"
    def call(cmd, *args, env=None, **kw):
        return subprocess.run([Path(sys.executable).parent/cmd, *map(str, args)], capture_output=True, text=True, env=os.environ|(env or {}), **kw)
    return call
