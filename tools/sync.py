"Check that modules and README follow from the notebooks and that the notebooks are clean; --write brings them in step"
import re,subprocess,sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

root,bin = Path(__file__).resolve().parent.parent,Path(sys.executable).parent

def readme():
    "`nbs/index.ipynb` as Markdown: file to bytes, README and its figures"
    nb = nbformat.read(root/'nbs/index.ipynb', 4)
    nb.metadata['language_info'] = dict(name='python')
    nb.cells = [c for c in nb.cells if not re.match(r'#\|\s*hide\s|.*nbdev_export', c.source)]
    text,res = MarkdownExporter().from_notebook_node(nb, dict(unique_key='readme', output_files_dir='docs/images'))
    text = re.sub(r'```python\n#\| hide_input\n.*?```\n', '', text, flags=re.S).replace('![png]', '![Accuracy against labels]')
    text = re.sub(r'\n{3,}', '\n\n', re.sub(r'[ ]+$', '', text, flags=re.M)).strip()+'\n'
    return {root/'README.md': text.encode()} | {root/k: v for k,v in res['outputs'].items()}

index = root/'deep_al_illusions/declared.json'
write_index = 'from deep_al_illusions.many.index import write_index; write_index()'

def tracked():
    paths = sorted([*root.glob('nbs/**/*.ipynb'), *root.glob('deep_al_illusions/**/*.py'), index])
    return {p: p.read_bytes() for p in paths if p.exists()}

def main(write):
    before = tracked()
    for o in 'nbdev-clean','nbdev-export': subprocess.run([bin/o], cwd=root, check=True)
    subprocess.run([sys.executable, '-W', 'ignore', '-c', write_index], cwd=root, check=True)
    stale = [p for p,b in tracked().items() if before.get(p)!=b]
    for p,new in readme().items():
        if p.exists() and p.read_bytes()==new: continue
        stale.append(p)
        p.parent.mkdir(parents=True, exist_ok=True)
        if write: p.write_bytes(new)
    names = ', '.join(str(p.relative_to(root)) for p in stale)
    if stale and not write: sys.exit(f'out of step with the notebooks: {names}; run `make readme` and commit what changes')
    print(f'updated: {names}' if stale else 'in sync')

if __name__=='__main__': main('--write' in sys.argv)
