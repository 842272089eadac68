"The pages say what is there: their code runs, and the notebooks and modules that they name exist"
import ast,importlib,re,subprocess,sys
from pathlib import Path

import numpy as np, pytest

root = Path(__file__).resolve().parent.parent
pages = [*sorted(root.glob('docs/*.md')), root/'CONTRIBUTING.md']

def blocks(page): return re.findall(r'^```python\n(.*?)^```', page.read_text('utf-8'), re.M|re.S)
def named(page, pattern): return sorted({*re.findall(rf'`({pattern})`', page.read_text('utf-8'))})

@pytest.mark.parametrize('page', pages, ids=lambda o: o.stem)
def test_imports_of_the_package(page):
    for source in blocks(page):
        for o in ast.walk(ast.parse(source)):
            if not isinstance(o, ast.ImportFrom) or not o.module.startswith('deep_al_illusions'): continue
            module = importlib.import_module(o.module)
            assert not [a.name for a in o.names if not hasattr(module, a.name)], o.module

@pytest.mark.parametrize('page', pages, ids=lambda o: o.stem)
def test_notebooks_and_modules_that_are_named(page):
    notebooks = {o.relative_to(root/'nbs').with_suffix('').as_posix() for o in root.glob('nbs/**/*.ipynb')}
    notebooks |= {o.rpartition('/')[2] for o in notebooks}
    assert {*named(page, r'(?:\d\d_\w+/)?\d\d[a-z]?_\w+')}<=notebooks|{o.name for o in root.glob('nbs/*_*')}
    chapters = '|'.join(o.name for o in root.glob('deep_al_illusions/*') if o.is_dir() and o.name[0]!='_')
    for o in named(page, rf'(?:{chapters})\.\w+(?:\.\w+)?'):
        chapter,module,*name = o.split('.')
        found = importlib.import_module(f'deep_al_illusions.{chapter}.{module}')
        assert all(hasattr(found, n) for n in name), o

quick = '''
import dataclasses, deep_al_illusions
_run = deep_al_illusions.run
def quick(spec):
    given = dict(initial=20, per_cycle=10)
    if spec.task=='scenes': given = dict(initial=100, per_cycle=60, subset=100)
    return _run(dataclasses.replace(spec, cycles=1, iterations=2, **given), say=lambda _: None)
deep_al_illusions.run = quick
'''

def test_examples_of_extend_run(tmp_path):
    "All blocks one after another, on trainings of two iterations"
    rng = np.random.default_rng(0)
    x,y = rng.integers(0, 255, (120, 8, 8, 3), dtype=np.uint8),np.arange(120)%4
    np.savez(tmp_path/'mine.npz', x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:])
    (tmp_path/'all.py').write_text('\n'.join([quick, *blocks(root/'docs/extend.md')]))
    done = subprocess.run([sys.executable, 'all.py'], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode==0, done.stderr[-2000:]
