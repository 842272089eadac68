"Is choosing which samples to label worth it? See `docs/scale.md` for what is set here, and why"
import os,sys

__version__ = '0.7.0'

# Modules of Python that nothing here imports, so that a script may be called so
_unused = {*'cgi chunk imp pipes sched test this tkinter trace tty turtle uu venv wave'.split()}

# Packages that are needed here and are folders, so that a file of such a name is another thing
_packages = {*'''numpy torch torchvision yaml filelock pandas fastai fastcore fastprogress PIL matplotlib papermill dask distributed
    sklearn skimage scipy tqdm cv2 tifffile statsmodels nbformat nbclient jupyter_client ipykernel IPython traitlets'''.split()}

def _rest_between_operations():
    "Threads of OpenMP wait for work at most about 0.1 ms before they sleep, unless the user decides"
    if {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME'}&{*os.environ}: return
    os.environ.update(GOMP_SPINCOUNT='3000', KMP_BLOCKTIME='1')

def _in_the_way():
    "Files and folders in `PYTHONPATH` that are taken for modules of Python, or for packages that are needed"
    taken,said = {*sys.stdlib_module_names}-_unused,os.environ.get('PYTHONPATH')
    for folder in said.split(os.pathsep) if said else []:
        try: names = os.listdir(folder or '.')
        except OSError: continue
        for o in sorted(names):
            name,end = os.path.splitext(o)
            file,folded = end in ('.py', '.pyc'),os.path.isfile(os.path.join(folder, o, '__init__.py'))
            if file and name in taken|_packages or folded and o in taken: yield os.path.abspath(os.path.join(folder, o))

def _begin():
    "What must come before torch is loaded"
    _rest_between_operations()
    command = os.path.basename(getattr(sys, 'argv', [''])[0])
    ours = command=='dal' or command[:4]=='dal-'
    if ours: os.environ['MPLBACKEND'] = 'agg' # Commands draw in kernels alone
    for path in _in_the_way():
        name = os.path.splitext(os.path.basename(path))[0]
        what = 'a package that is needed' if name in _packages else 'a module of Python'
        why = (f'{path} stands in front of {name}, {what}, since its folder is in '
            'PYTHONPATH; rename it, or take the folder out of PYTHONPATH')
        if not ours: raise ImportError(why)
        print(f'{command}: {why}', file=sys.stderr)
        sys.exit(2)

_begin()

# The public face: where each name lives; a module is imported when its name is first used
_face = dict(InputError='study.basics', Spec='study.spec', make_spec='study.spec', settings='study.machine',
    Task='tasks.data', load_task='tasks.named', fingerprint='tasks.fingerprint',
    train='learn.train', Pool='choose.pool', Outs='choose.strategies', Order='choose.strategies', rank='choose.strategies',
    register='choose.strategies', strategies='choose.strategies', check_strategy='choose.contract',
    check='loop.purchase', run='loop.loop', load_runs='loop.runs', load_notes='loop.runs',
    preset='many.presets', runs_of='many.presets', sweep='many.runner', status='many.status', estimate='many.estimate',
    compare='judge.stats', curves='judge.plots', verdicts='judge.claims', results='judge.results', report='judge.report')
__all__ = [*_face]

def __getattr__(name):
    if name not in _face: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    import importlib
    value = getattr(importlib.import_module(f'{__name__}.{_face[name]}'), name)
    globals()[name] = value
    return value

def __dir__(): return sorted({*globals(), *_face})
