"A new notebook passes what all notebooks pass; the site's links and names are right"
import importlib.machinery,importlib.util,json,subprocess,sys
from pathlib import Path

import pytest
from nbdev.clean import clean_nb
from nbdev.export import nb_export
from fastcore.nbio import read_nb

root = Path(__file__).resolve().parent.parent

def loaded(name, file):
    "A script of tools/ as a module, under a name that is not Python's own"
    loader = importlib.machinery.SourceFileLoader(name, str(root/'tools'/file))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.modules[name] = module
    loader.exec_module(module)
    return module

@pytest.fixture(scope='module')
def tool(): return loaded('tool_notebook', 'notebook')

@pytest.fixture(scope='module')
def site(): return loaded('tool_site', 'site.py')

@pytest.fixture
def nbs(tmp_path):
    for o in '04_choose/01_pool', '04_choose/05b_more', '10_paper/69_verdicts':
        (tmp_path/'nbs'/o).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/'nbs'/f'{o}.ipynb').write_text('{}')
    return tmp_path/'nbs'

def code(path): return [''.join(c['source']) for c in json.loads(path.read_text())['cells'] if c['cell_type']=='code']

# tools/notebook

@pytest.mark.parametrize('chapter,file', [('choose', '04_choose/06_mine.ipynb'), ('10_paper', '10_paper/70_mine.ipynb')])
def test_a_new_notebook_runs_and_is_clean(tool, nbs, chapter, file, monkeypatch):
    path = tool.make(chapter, 'mine', 'What "mine" is, in % and {braces}', nbs)
    assert path==nbs/file and json.loads(path.read_text())['cells'][0]['source'][0].lower()=='# mine\n'
    nb = read_nb(path)
    before = json.dumps(nb)
    clean_nb(nb, allowed_cell_metadata_keys=['tags'])
    assert json.dumps(nb)==before
    names = {}
    for source in code(path):
        if 'nbdev' not in source: exec(source, names)

def test_a_new_module_is_exported_and_passes_the_gate(tool, nbs, tmp_path, monkeypatch):
    path = tool.make('choose', 'mine', 'Mine', nbs)
    nb_export(path, lib_path=tmp_path/'lib')
    assert 'def first_idea' in (tmp_path/'lib/choose/mine.py').read_text()
    style = loaded('tool_style', 'style.py')
    monkeypatch.setattr(style, 'root', tmp_path)
    counts = style.all_counts()
    lines,taught,_ = style.look_at(path, counts, set())
    assert not any(c.places for c in counts.values()) and taught>=.5*lines

@pytest.mark.parametrize('args,says', [(['chose', 'a', 'b'], 'no chapter chose; there are 04_choose, 10_paper'),
    (['choose', 'Pool', 'b'], 'cannot be the name'), (['choose', 'class', 'b'], 'cannot be the name'), (['choose', 'a-b', 'b'], 'cannot be the name'),
    (['choose', 'more', 'b'], '05b_more.ipynb has this name'), (['choose', 'a', ' '], 'one line'), (['choose', 'a', 'b\nc'], 'one line')])
def test_mistakes_are_told_in_one_line(tool, nbs, args, says):
    before = sorted(nbs.rglob('*'))
    with pytest.raises(SystemExit, match=says) as e: tool.make(*args, nbs)
    assert '\n' not in str(e.value) and sorted(nbs.rglob('*'))==before

def test_the_script_itself():
    call = lambda *args: subprocess.run([root/'tools/notebook', *args], capture_output=True, text=True)
    done = call('--help')
    assert done.returncode==0 and "tools/notebook CHAPTER NAME 'claim'" in done.stdout
    done = call('choose')
    assert done.returncode==1 and done.stderr.count('\n')==1 and 'CHAPTER NAME' in done.stderr

# tools/site.py

def test_no_two_notebooks_become_one_page_and_every_chapter_is_known(site):
    paths = site.notebooks()
    site.check_pages(paths)
    groups = site.by_chapter(paths)
    known = site.chapters([o for o in groups if o])
    assert all({'title', 'answers'}<={*o} for o in known.values()) and [*known]==sorted(known)
    titles = [o['title'] for o in known.values()]
    assert len({*titles})==len(titles)
    assert all(all(site.opening(p)) for p in paths) # A title and a claim
    with pytest.raises(SystemExit, match='more than one notebook would become a/b'): site.check_pages([Path('a/01_b.ipynb'), Path('a/02_b.ipynb')])
    with pytest.raises(SystemExit, match='says nothing of 99_new'): site.chapters(['99_new'])

def test_links(site):
    paths = [Path(o) for o in ('01_a/03_files.ipynb', '02_b/03_files.ipynb', '02_b/04_pool.ipynb')]
    links = site.Links(paths, {'02_b/pool': ['Pool', 'Pool.buy'], '01_a/files': []})
    assert links('[`Pool.buy`](/02_b/pool.html#pool.buy)', '01_a/files')=='[`Pool.buy`](../02_b/pool.html#pool.buy)'
    assert links('[x](/02_b/pool.html#pool.__len__)', '02_b/pool')=='[x](pool.html#pool)'
    assert links('[x](/02_b/pool.html#_private)', 'index')=='[x](02_b/pool.html)'
    assert links('`04_pool` and `b.pool`', 'index')=='[`04_pool`](02_b/pool.html) and [`b.pool`](02_b/pool.html)'
    assert links('`03_files`', 'index')=='`03_files`' and links('`03_files`', '02_b/pool')=='[`03_files`](files.html)'
    assert links('`01_a/03_files`', '02_b/pool')=='[`01_a/03_files`](../01_a/files.html)'
    assert links('[x](datasets.md#your-own) [y](docs/scale.md)', 'contributing')=='[x](datasets.html#your-own) [y](scale.html)'
    assert links('`docs/scale.md` `01_a` `b.pool.Pool` `b.nothing`', '02_b/pool')==(
        '[`docs/scale.md`](../scale.html) [`01_a`](../01_a/index.html) [`b.pool.Pool`](pool.html#pool) `b.nothing`')
    assert links('```\n`04_pool`\n```', 'index')=='```\n`04_pool`\n```'

def test_code_is_folded_behind_its_signature(site):
    cell = lambda source, **meta: dict(cell_type='code', id=source, metadata=meta, source=source)
    cells = [cell('import a', exported=True), cell('def f(): 0', exported=True), cell('show_doc(f)'), cell('f()')]
    assert [c['id'] for c in site.signatures_first(cells)]==['import a', 'show_doc(f)', 'def f(): 0', 'f()']
    words = [site.tidy(c, None, 'p')['metadata'].get('mystnb', {}).get('code_prompt_show') for c in cells if c['id']!='show_doc(f)']
    assert words==['imports', 'source', None]

def test_signatures_can_be_jumped_to(site):
    said = '---\n\n### Pool.buy\n\n```python\ndef buy(spec:deep_al_illusions.study.spec.Spec, x:torch.Tensor):\n```\n\n*Buys*'
    text = site.signature([dict(data={'text/markdown': [said]})])
    assert text=='<span id="pool.buy"></span>\n\n### Pool.buy\n\n```python\ndef buy(spec:Spec, x:torch.Tensor):\n```\n\n*Buys*'

def test_links_to_nowhere_are_found(site, tmp_path):
    (tmp_path/'a.html').write_text('<a href="b.html#x"> <a href="b.html#y"> <a href="c.html"> <a href="#z"> <a href="https://x.org/#q">')
    (tmp_path/'b.html').write_text('<p id="x">')
    assert site.dead_links(tmp_path)==['a.html: #z', 'a.html: b.html#y', 'a.html: c.html']
