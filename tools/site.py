"""Build the site: notebooks through nbdev, tidied, then Sphinx

    python tools/site.py    into _docs/

Chapters and what they answer stand in nbs/chapters.yaml. A page is called like nbdev's links to it: `05_loop/03_loop.ipynb`
is `05_loop/loop`."""
import ast,json,os,re,secrets,shutil,subprocess,sys,tempfile
from collections import Counter
from pathlib import Path

import yaml
from fastcore.parallel import parallel
from nbdev import serve_drv
from nbdev.doclinks import NbdevLookup

from exported import KeepExported

root = Path(__file__).resolve().parent.parent
nbs = root/'nbs'
pages = ['protocol', 'deviations', 'cost', 'datasets', 'interchange', 'scale', 'extend', 'contributing']

# Which notebooks there are, and what their pages are called

def notebooks(): # Paths relative to nbs/, in reading order
    found = [p.relative_to(nbs) for p in nbs.glob('**/[0-9]*.ipynb')]
    return sorted(p for p in found if '.ipynb_checkpoints' not in p.parts)

def page_of(path): # '05_loop/03_loop.ipynb' -> '05_loop/loop'
    return path.with_name(re.sub(r'^\d+[a-z]*_', '', path.stem)).as_posix()

def by_chapter(paths)->dict: # Those that are in no chapter are under ''
    res = {}
    for p in paths: res.setdefault(p.parent.as_posix() if p.parent.name else '', []).append(p)
    return res

def chapters(folders)->dict:
    "Title and question of each chapter that has notebooks"
    known = yaml.safe_load((nbs/'chapters.yaml').read_text('utf-8'))
    if missing := [o for o in folders if o not in known]:
        sys.exit(f'nbs/chapters.yaml says nothing of {", ".join(missing)}')
    return {o: known[o] for o in folders}

def check_pages(paths):
    twice = [o for o,n in Counter(map(page_of, paths)).items() if n>1]
    if twice: sys.exit(f'more than one notebook would become {", ".join(twice)}; rename one')

# nbdev's processing

def process(paths, to):
    "Notebooks with signatures and links, as nbdev makes them, in the folder `to`"
    jobs = []
    for p in paths:
        (to/p).parent.mkdir(parents=True, exist_ok=True)
        jobs.append((nbs/p, to/p, KeepExported))
    parallel(serve_drv.main, jobs, n_workers=2, pause=.01, method='spawn')

# Links

def relative(target, page): return os.path.relpath(target, os.path.dirname(page) or '.')

class Links:
    "Where the links of a page lead, once it is known what pages there are and what can be jumped to"
    def __init__(self, paths, anchors): # `anchors`: page to names, as in the headings of its signatures
        self.anchors = {page: {o.lower() for o in names} for page,names in anchors.items()}
        self.chapters = {p.parent.name for p in paths if p.parent.name}
        self.by_name = {}
        for p in paths:
            for name in {p.with_suffix('').as_posix(), p.stem}: self.by_name.setdefault(name, []).append(p)

            chapter = p.parent.name[3:]
            if chapter: self.by_name.setdefault(f'{chapter}.{Path(page_of(p)).name}', []).append(p)

    def anchor(self, page, name):
        "The name itself; the class of a method that has no heading of its own; else the page"
        while name and name not in self.anchors.get(page, ()): name = name.rpartition('.')[0]
        return f'#{name}' if name else ''

    def to_names(self, text, page):
        "nbdev's links, which start at the root of a server"
        def link(m):
            anchor = self.anchor(m[1], (m[2] or '').lower())
            return f']({relative(m[1]+".html", page)}{anchor})'
        return re.sub(r'\]\(/([\w/]+)\.html(?:#([\w.]+))?\)', link, text)

    def page(self, name, page):
        """The page of a name in code: a page of docs/, a chapter, a module, a name in a module, or a notebook, which is
        named without its chapter where it is in the same one, or the only one; `None` of anything else"""
        said = re.fullmatch(r'(?:docs/)?(\w+)\.md', name)
        if said: return said[1].lower()+'.html' if said[1].lower() in pages else None
        if name in self.chapters: return f'{name}/index.html'
        module = re.fullmatch(r'(\w+\.\w+)\.(\w+)', name)
        found = self.by_name.get(module[1] if module else name, [])
        if len(found)>1: found = [p for p in found if p.parent.as_posix()==os.path.dirname(page)]
        if not found: return None
        target = page_of(found[0])
        return target+'.html'+(self.anchor(target, module[2].lower()) if module else '')

    def to_code(self, text, page):
        def link(m):
            target = self.page(m[1], page)
            return f'[`{m[1]}`]({relative(target, page)})' if target else m[0]
        return re.sub(r'(?<!\[)`([\w/]+(?:\.\w+){0,2})`(?!\])', link, text)

    def to_pages(self, text, page):
        link = lambda m: f']({relative(m[1].lower()+".html", page)}{m[2] or ""})'
        return re.sub(r'\]\((?:docs/)?(\w+)\.md(#[\w-]+)?\)', link, text)

    def __call__(self, text, page):
        parts = re.split(r'(^```.*?^```)', text, flags=re.M|re.S) # What is fenced stays as it is
        for i in range(0, len(parts), 2):
            for change in self.to_names,self.to_code,self.to_pages: parts[i] = change(parts[i], page)
        return ''.join(parts)

# One notebook

def source_of(cell): return ''.join(cell['source'])
def is_signature(cell): return cell['cell_type']=='code' and 'show_doc(' in source_of(cell)

def signatures_first(cells):
    "An exported cell behind the signatures of what it defines"
    res,exported = [],None
    for c in cells:
        if exported and not is_signature(c): res,exported = res+[exported],None
        if c['metadata'].get('exported'): exported = c
        else: res.append(c)
    return res+[exported] if exported else res

def front_matter(text):
    "Title and description, which nbdev moves to a raw cell, as Markdown"
    d = yaml.safe_load(text.strip().strip('-')) or {}
    return f'# {d.get("title", "")}\n\n' + (f'> {d["description"]}' if 'description' in d else '')

def signature(outputs):
    "What `show_doc` says, under a heading that can be jumped to"
    text = ''.join(''.join(o.get('data', {}).get('text/markdown', '')) for o in outputs)
    text = re.sub(r'__main__\.|\bdeep_al_illusions(\.\w+){2}\.(?=\w)', '', text) # `Spec` is known well enough
    text = re.sub(r'^---\n|\[source\]\([^)]*\)\{[^}]*\}\n*', '', text).strip()
    return re.sub(r'^(#+ (\S+))$', lambda m: f'<span id="{m[2].lower()}"></span>\n\n{m[1]}', text, count=1, flags=re.M)

def names_in(cells): # Of a processed notebook
    found = (re.search(r'^#+ (\S+)$', ''.join(''.join(o.get('data', {}).get('text/markdown', ''))
        for o in c['outputs']), re.M) for c in cells if is_signature(c))
    return [m[1] for m in found if m]

def tidy_outputs(cell):
    res = []
    for o in cell.get('outputs', []):
        keep = o['output_type']=='execute_result'
        res.append({k: v for k,v in o.items() if k!='execution_count' or keep})
    return res

def folded(src):
    "Metadata of a cell whose code is shown when a reader asks for it"
    only_imports = all(isinstance(o, (ast.Import, ast.ImportFrom)) for o in ast.parse(src).body)
    words = 'imports' if only_imports else 'source'
    return dict(tags=['hide-input'], mystnb=dict(code_prompt_show=words, code_prompt_hide=words))

def tidy(cell, links, page,
    fold=False, # Is all code of the notebook folded, or only what is exported?
):
    "One cell of a processed notebook as the notebook format and Sphinx want it, or `None`"
    src,outputs = source_of(cell),tidy_outputs(cell)
    markdown = dict(cell_type='markdown', id=cell['id'], metadata={})
    if 'AUTOGENERATED' in src: return
    if cell['cell_type']=='raw': return markdown|dict(source=front_matter(src))
    if cell['cell_type']=='markdown': return markdown|dict(source=links(src, page))
    if is_signature(cell):
        text = signature(outputs)
        return markdown|dict(source=links(text, page)) if text else None
    metadata = dict(tags=[])
    if 'hide_input' in src or 'echo: false' in src: metadata = dict(tags=['remove-input'])
    elif fold or cell['metadata'].get('exported'): metadata = folded(src)
    src = re.sub(r'^#\|.*\n?', '', src, flags=re.M).strip('\n')
    code = dict(cell_type='code', execution_count=None, metadata=metadata, outputs=outputs, source=src)
    return markdown|code if src else None

def write_notebook(path, cells):
    kernel = dict(kernelspec=dict(display_name='python3', language='python', name='python3'))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(cells=cells, metadata=kernel, nbformat=4, nbformat_minor=5)), 'utf-8')

# Pages that lead to others

def toctree(caption, names):
    return f'```{{toctree}}\n:hidden:\n:caption: {caption}\n\n' + '\n'.join(names) + '\n```\n'

def opening(path): # Title and claim of a notebook
    first = ''.join(json.loads((nbs/path).read_text('utf-8'))['cells'][0]['source'])
    title,_,rest = first.partition('\n')
    claim = re.search(r'^> (.*)$', rest, re.M)
    return title.lstrip('# '),claim[1] if claim else ''

def chapter_page(chapter, paths):
    "A chapter: what it answers, and its notebooks in reading order"
    rows = []
    for p in paths:
        title,claim = opening(p)
        rows.append(f'| [{title}]({Path(page_of(p)).name}.html) | {claim} |')
    table = '\n'.join(['| notebook | what it holds |', '| --- | --- |', *rows])
    toc = toctree(chapter['title'], [Path(page_of(p)).name for p in paths])
    return f'# {chapter["title"]}\n\n> {chapter["answers"]}\n\n{table}\n\n{toc}'

def chapter_table(known):
    rows = [f'| [{o["title"]}]({folder}/index.html) | {o["answers"]} |' for folder,o in known.items()]
    return '\n'.join(['## Chapters\n', '| chapter | what it answers |', '| --- | --- |', *rows])

def prose(source): return dict(cell_type='markdown', id=secrets.token_hex(4), metadata={}, source=source)

def with_chapters(cells, known):
    "The first page with a table of the chapters, before that of the notebooks or else at the end"
    places = [i for i,c in enumerate(cells) if c['source'].startswith('## The notebooks')]
    i = places[0] if places else len(cells)
    return [*cells[:i], prose(chapter_table(known)), *cells[i:]]

def contents(groups, known): # The end of the first page
    named = [f'{o["title"]} <{folder}/index>' for folder,o in known.items()]
    doors = [page_of(p) for p in groups.get('', [])]
    return [toctree('Chapters', named), toctree('To run', doors), toctree('Pages', pages)]

# The whole

conf = dict(project='deep_al_illusions', html_title='deep_al_illusions', extensions=['myst_nb'],
    html_theme='furo', html_static_path=['static'], html_css_files=['site.css'],
    html_copy_source=False, html_show_sourcelink=False, copyright='2026, the deep_al_illusions developers',
    nb_execution_mode='off', myst_heading_anchors=3, myst_all_links_external=True,
    suppress_warnings=['mystnb.unknown_mime_type', 'myst.header', 'misc.highlighting_failure'])

def write_sources(processed, src, paths):
    "All that Sphinx reads, from what nbdev made"
    groups = by_chapter(paths)
    known = chapters([o for o in groups if o])
    read = lambda p: json.loads((processed/p).read_text('utf-8'))['cells']
    links = Links(paths, {page_of(p): names_in(read(p)) for p in paths})

    for p in [*paths, Path('index.ipynb')]:
        page = page_of(p)
        fold = known.get(p.parent.as_posix(), {}).get('fold', False)
        tidied = [tidy(c, links, page, fold) for c in signatures_first(read(p))]
        cells = [c for c in tidied if c]
        if page=='index':
            cells = with_chapters(cells, known)+[prose(o) for o in contents(groups, known)]
        write_notebook(src/f'{page}.ipynb', cells)

    for folder,chapter in known.items():
        (src/folder/'index.md').write_text(chapter_page(chapter, groups[folder]), 'utf-8')
    for page in pages:
        text = (root/('CONTRIBUTING.md' if page=='contributing' else f'docs/{page}.md')).read_text('utf-8')
        (src/f'{page}.md').write_text(links(NbdevLookup().linkify(text), page), 'utf-8')
    (src/'static').mkdir()
    shutil.copy(root/'tools/site.css', src/'static')
    (src/'conf.py').write_text('\n'.join(f'{k} = {v!r}' for k,v in conf.items())+'\n')

def dead_links(site):
    "Links of a built site to files or places in them that are not there"
    text = {p: p.read_text('utf-8') for p in sorted(site.glob('**/*.html'))}
    ids = {p: set(re.findall(r'\bid="([^"]+)"', o)) for p,o in text.items()}
    res = []
    for p,o in text.items():
        for link in sorted(set(re.findall(r'href="([^"]+)"', o))):
            if re.match(r'\w+:|//', link): continue
            file,_,anchor = link.partition('#')
            target = (p.parent/file.partition('?')[0]).resolve() if file else p
            gone = not target.exists() or anchor and target in ids and anchor not in ids[target]
            if gone: res.append(f'{p.relative_to(site)}: {link}')
    return res

def main():
    paths = notebooks()
    check_pages(paths)
    with tempfile.TemporaryDirectory() as d:
        processed,src = Path(d)/'processed',Path(d)/'src'
        process([*paths, Path('index.ipynb')], processed)
        write_sources(processed, src, paths)
        built = Path(d)/'site'
        if subprocess.run([sys.executable, '-m', 'sphinx', '-q', '-b', 'html', src, built]).returncode: sys.exit(1)
        shutil.rmtree(root/'_docs', ignore_errors=True)
        shutil.move(built, root/'_docs')
    if dead := dead_links((root/'_docs').resolve()): sys.exit('\n'.join(['links that lead nowhere:', *dead]))

if __name__=='__main__': main()
