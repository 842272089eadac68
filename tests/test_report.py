"The report: one page for phone and desktop, the same each time; its colours; tables and first sets for others to use"
import os,re,shutil
from threading import Lock

import nbformat, numpy as np, pandas as pd, pytest
from browser import *
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from skimage.color import rgb2lab

from deep_al_illusions.cli import main
from deep_al_illusions.study.spec import Spec
from deep_al_illusions.study.provenance import notebook,package
from deep_al_illusions.loop.loop import run
from deep_al_illusions.loop.runs import first_digest,load_runs
from deep_al_illusions.judge.plots import look
from deep_al_illusions.judge.results import carried,results
from deep_al_illusions.judge.sharing import first_sets
from deep_al_illusions.judge.report import report

some = ['68_selection', '70_provenance']

@pytest.fixture(scope='module')
def few(tmp_path_factory):
    "A folder with three short runs"
    root = tmp_path_factory.mktemp('few')/'runs'
    for s,k in ('random', 1),('random', 2),('entropy', 1): run(Spec(strategy=s, trial=k, epochs=1, cycles=1), root, say=lambda o: None)
    return root

def files_of(root): return {o: (o.stat().st_mtime_ns, o.stat().st_size) for o in root.rglob('*')}
def without_date(page): return re.sub('<p class="made">.*?</p>', '', page, flags=re.S)

# Machado, Oliveira and Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency, 2009, severity 1
eyes = dict(usual=np.eye(3), protanopia=[[.152286,1.052583,-.204868],[.114503,.786281,.099216],[-.003882,-.048116,1.051998]],
    deuteranopia=[[.367322,.860646,-.227968],[.280085,.672501,.047413],[-.011820,.042940,.968881]],
    tritanopia=[[1.255528,-.076749,-.178779],[-.078411,.930809,.147602],[.004733,.691367,.303900]])

def seen(rgb, eye):
    "CIE L*a*b* of sRGB colours, as these eyes have them"
    x = np.where(rgb<=.04045, rgb/12.92, ((rgb+.055)/1.055)**2.4)@np.array(eyes[eye]).T
    x = np.clip(x, 0, 1)
    return rgb2lab(np.where(x<=.0031308, 12.92*x, 1.055*x**(1/2.4)-.055)[None])[0]

def least(d): return d[~np.eye(len(d), dtype=bool)].min()

@pytest.mark.parametrize('eye', eyes)
def test_colours_and_markers_differ(eye):
    names = 'random entropy core_set learn_loss ens_varr d_score margin a_strategy_of_mine'.split()
    rgb = np.array([[int(look(o)['color'][i:i+2], 16)/255 for i in (1, 3, 5)] for o in names])
    lab = seen(rgb, eye)
    assert least(np.linalg.norm(lab[:,None]-lab[None], axis=-1))>=15
    if eye=='usual': assert least(abs(lab[:,None,0]-lab[None,:,0]))>=8.5 and lab[:,0].min()>10 and lab[:,0].max()<80
    assert len({look(o)['marker'] for o in names})==len(names) and look('ens_ent')==look('ens_varr')

def test_no_other_colours_for_strategies():
    for f in 'plots', 'pictures': assert not re.search('#(0072B2|D55E00|009E73|CC79A7|56B4E9)', (package/'judge'/f'{f}.py').read_text())

def test_the_same_runs_give_the_same_page_and_files(few, tmp_path):
    before,pages = files_of(few),[]
    for o in 'ab':
        (tmp_path/o).mkdir()
        assert report(few, tmp_path/o/'r.html', some)=={}
        pages.append(without_date((tmp_path/o/'r.html').read_text()))
    assert pages[0]==pages[1] and files_of(few)==before
    a,b = [{f.relative_to(tmp_path/o/'r'): f.read_bytes() for f in (tmp_path/o/'r').rglob('*.*')} for o in 'ab']
    assert a==b and {o.suffix for o in a}=={'.svg', '.csv'}
    listed = pd.read_csv(tmp_path/'a'/'r'/'contents.csv').file
    assert {*listed}=={str(o) for o in a}-{'contents.csv'}
    assert pd.read_csv(tmp_path/'a'/'r'/'tables/trainings.csv').run.nunique()==3

def test_stale_files_go_and_others_stay(few, tmp_path):
    report(few, tmp_path/'r.html', ['68_selection'])
    (tmp_path/'r'/'figures'/'mine.svg').write_text('mine')
    report(few, tmp_path/'r.html', ['70_provenance'])
    assert [o.name for o in (tmp_path/'r'/'figures').iterdir()]==['mine.svg']

def test_a_part_that_fails_is_marked(few, tmp_path, monkeypatch, capsys):
    real = execute_of()
    def broken(name, *args, **kw): return real(name, *args, **kw) if name!='68_selection' else 1/0
    monkeypatch.setattr('deep_al_illusions.judge.report.execute', broken)
    monkeypatch.setattr('deep_al_illusions.judge.report.report_notebooks', ['68_selection', '70_provenance'])
    with pytest.raises(SystemExit) as e: main(['report', str(few), '--out', str(tmp_path/'r.html')])
    page,err = (tmp_path/'r.html').read_text(),capsys.readouterr().err
    assert e.value.code==1 and 'failed: 68_selection: ' in err and 'division by zero' in err
    assert 'This part failed: ZeroDivisionError: division by zero' in page and 'Where the numbers come from' in page

def execute_of():
    import deep_al_illusions.judge.report as r
    return r.execute

def rewrite(folder, file, f):
    "Change a JSON file of a finished run, as another version would have written it"
    from deep_al_illusions.loop.folder import sums_of
    d = json.loads((folder/file).read_text())
    f(d)
    (folder/file).write_text(json.dumps(d))
    (folder/'DONE').write_text(json.dumps(sums_of(folder)))

def test_what_is_odd_is_marked(few, tmp_path):
    root = tmp_path/'runs'
    shutil.copytree(few, root)
    a,b = sorted(root.glob('digits-random-*t*'))[:2]
    rewrite(a, 'provenance.json', lambda d: d.update(numbers='0.0.1', versions=d['versions']|dict(deep_al_illusions='0.0.1')))
    c = next(root.glob('digits-entropy-*'))
    (c/'cycles.csv').write_text('torn')
    (root/'foreign').mkdir()
    (root/'foreign'/'spec.json').write_text('{')
    report(root, tmp_path/'r.html', some)
    page = (tmp_path/'r.html').read_text()
    assert '0.0.1 (not ' in page and 'version 0.0.1' in page
    assert all(page.count(f'note: {o}')==1 for o in (f'{c.name} is not finished', 'foreign is not finished', 'some runs in'))

def test_first_sets_that_differ_leave_a_note(few, tmp_path):
    root = tmp_path/'runs'
    shutil.copytree(few, root)
    f = next(root.glob('digits-entropy-*'))
    with np.load(f/'picks.npz') as z: d = dict(z)
    d['ids'][0] = next(i for i in range(1297) if i not in d['ids'])
    np.savez(f/'picks.npz', **d)
    rewrite(f, 'spec.json', lambda d: None)
    with pytest.warns(UserWarning, match='trial 1 of digits, low budget .* has 2 different first sets'): results(root)

# chkstyle: ignore-node
bad = {
    'no folder': ('--out', 'no/where.html', 'does not exist'),
    'folder': ('--out', '.', 'is a folder'),
    'read only': ('--out', '/proc/r.html', 'cannot be written'),
    'in the way': ('--out', 'file.html', 'is in the way'),
    'the runs': ('--out', 'runs.html', 'is in the way'),
    'table': ('--table', 't.xlsx', 'ends in .parquet or .csv'),
    'table folder': ('--table', 'no/t.csv', 'does not exist'),
    'first sets': ('--first-sets', 'f.parquet', 'written as .csv')}

@pytest.mark.parametrize('case', bad)
def test_bad_output(case, few, tmp_path, monkeypatch, capsys):
    option,value,words = bad[case]
    shutil.copytree(few, tmp_path/'runs')
    (tmp_path/'file').write_text('')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('deep_al_illusions.judge.report.execute', lambda *_: pytest.fail('work began'))
    with pytest.raises(SystemExit) as e: main(['report', 'runs', option, value])
    err = capsys.readouterr().err
    assert e.value.code==2 and words in err and err.strip().count('\n')==0, err

@pytest.mark.parametrize('kind', ['parquet', 'csv'])
def test_table(kind, few, tmp_path):
    with pytest.raises(SystemExit) as e: main(['report', str(few), '--table', str(tmp_path/f't.{kind}')])
    df,want = getattr(pd, f'read_{kind}')(tmp_path/f't.{kind}'),load_runs(few)[0]
    assert not e.value.code and [*df]==[*want] and np.allclose(df.score, want.score) and df.run.tolist()==want.run.tolist()

def test_published_first_sets_are_what_runs_use(few, tmp_path):
    with pytest.raises(SystemExit): main(['report', str(few), '--first-sets', str(tmp_path/'f.csv')])
    df,published = pd.read_csv(tmp_path/'f.csv'),carried('first_sets')
    assert df.trial.tolist()==[1, 2] and [*df]==[*published]
    for r in df.itertuples():
        same = published[(published.task==r.task)&(published.budget==r.budget)&(published.trial==r.trial)]
        assert [*same.ids]==[r.ids] and [*same.checksum]==[r.checksum]==[first_digest(r.ids.split())]
    ours = first_sets([Spec(task=t, budget=b, trial=3, device='cpu') for t in ('digits', 'digit_pairs', 'scenes') for b in ('low', 'large')])
    assert ours.merge(published, on=['task', 'data', 'scale', 'budget', 'trial', 'checksum', 'ids']).shape[0]==6

def test_every_published_checksum():
    df = carried('first_sets')
    assert [first_digest(o.split()) for o in df.ids]==df.checksum.tolist() and df.groupby(['task', 'budget']).trial.apply(list).map(lambda o: o==[1, 2, 3, 4, 5]).all()
    assert {o.initial==len(o.ids.split())==len({*o.ids.split()}) for o in df[df.task!='scenes'].itertuples()}=={True}

def test_the_checksum_that_the_docs_give():
    text = (package.parent/'docs'/'datasets.md').read_text()
    env = {}
    exec(re.search('```python\n(import hashlib.*?)```', text, re.S)[1], env)
    r = carried('first_sets').iloc[0]
    assert env['checksum'](r.ids.split())==r.checksum

# In the browser

class OneKernel:
    "Executes notebooks one after the other in one kernel; the package takes one for each, which imports all anew"
    def __init__(self): self.manager,self.turn = KernelManager(kernel_name='python3'),Lock()
    def __enter__(self): return self
    def __exit__(self, *args): self.manager.shutdown_kernel(now=True)
    def carry_out(self, nb): NotebookClient(nb, km=self.manager).execute()
    def execute(self, name, out, params, env=None, args=()):
        nb = parameterize_notebook(load_notebook_node(str(notebook(name))), params)
        forget = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('%reset -f')])
        with self.turn:
            drawn_inline = os.environ|dict(MPLBACKEND='module://matplotlib_inline.backend_inline')
            if not self.manager.has_kernel: self.manager.start_kernel(extra_arguments=[*args], env=drawn_inline)
            for o in nb,forget: self.carry_out(o)
        nbformat.write(nb, out)

@pytest.fixture(scope='module')
def page_of_all(tmp_path_factory):
    "The report of the tables that come with the package"
    d = tmp_path_factory.mktemp('page')
    with OneKernel() as kernel,pytest.MonkeyPatch.context() as m:
        m.setattr('deep_al_illusions.judge.report.execute', kernel.execute)
        assert report(d, d/'r.html')=={}
    return d/'r.html'

checks = dict(
    wide='document.scrollingElement.scrollWidth<=innerWidth',
    fits='[...document.images].every(o => { const a=o.getBoundingClientRect(), b=o.parentElement.getBoundingClientRect(); return o.naturalWidth>0 && a.width>100 && a.height>50 && a.left>=b.left-1 && a.right<=b.right+1 && a.right<=innerWidth })',
    anchors="[...document.querySelectorAll('nav a')].length>30 && [...document.querySelectorAll('nav a')].every(o => document.getElementById(o.hash.slice(1)))",
    once="(a => a.length==new Set(a).size)([...document.querySelectorAll('[id]')].map(o => o.id))",
    alt="[...document.images].every(o => o.alt.length>20) && [...document.querySelectorAll('svg')].every(o => o.getAttribute('aria-label'))",
    reached="[...document.querySelectorAll('figure')].every(o => document.querySelector(`nav a[href='#${o.id}']`))",
    local="performance.getEntriesByType('resource').every(o => o.name.startsWith('data:')) && !document.querySelector('script,link,iframe,[src^=http]')")

@pytest.mark.skipif(not find_chromium(), reason='no Chromium')
@pytest.mark.parametrize('width', [390, 1280])
def test_on_screen(width, page_of_all, tmp_path):
    with chromium(tmp_path, width=width) as page:
        page.call('Emulation.setDeviceMetricsOverride', width=width, height=900, deviceScaleFactor=1, mobile=width<500)
        page.call('Page.navigate', url=page_of_all.as_uri())
        page.wait("document.readyState=='complete' && document.images.length>20")
        page.js("document.querySelectorAll('details').forEach(o => { o.open = true })")
        assert {k for k,o in checks.items() if not page.js(o)}==set()

def test_every_figure_is_there(page_of_all):
    page = page_of_all.read_text()
    ids = re.findall('<figure id="figure-(\\d+)-', page)
    assert {*map(int, ids)}=={*range(1, 16)} and page.count('http')==page.count('https://') and len(page)<15e6 and '<script' not in page
