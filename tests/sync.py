"Check that modules and README follow from the notebooks and that the notebooks are clean; --write brings them in step"
import re,shutil,subprocess,sys,tempfile
from pathlib import Path

root,bin = Path(__file__).resolve().parent.parent,Path(sys.executable).parent

def readme(out):
    "`nbs/index.ipynb` as Markdown, its figures in `docs/images`"
    flags = ['--RegexRemovePreprocessor.enabled=True', r'--RegexRemovePreprocessor.patterns=^#\|\s*hide\s*$']
    call = [bin/'jupyter', 'nbconvert', 'nbs/index.ipynb', '--to', 'markdown', '--output-dir', out, '--output', 'README', *flags]
    subprocess.run(call, cwd=root, check=True, capture_output=True)
    text = (out/'README.md').read_text()
    text = re.sub(r'```python\n#\| hide_input\n.*?```\n', '', text, flags=re.S).replace('README_files/', 'docs/images/')
    (out/'README.md').write_text(re.sub(r'\n{3,}', '\n\n', text).strip()+'\n')

def tracked(): return {p: p.read_bytes() for p in sorted([*root.glob('nbs/*.ipynb'), *root.glob('deep_al_illusions/*.py')])}

def main(write):
    with tempfile.TemporaryDirectory() as tmp:
        before = tracked()
        for o in 'nbdev-clean','nbdev-export': subprocess.run([bin/o], cwd=root, check=True)
        stale = [str(p.relative_to(root)) for p,b in tracked().items() if before.get(p)!=b]
        readme(Path(tmp))
        pages = {root/'README.md': Path(tmp)/'README.md'} | {root/'docs/images'/p.name: p for p in Path(tmp).glob('README_files/*')}
        for to,new in pages.items():
            if to.exists() and to.read_bytes()==new.read_bytes(): continue
            stale.append(str(to.relative_to(root)))
            to.parent.mkdir(exist_ok=True)
            if write: shutil.copy(new, to)
    if stale and not write: sys.exit(f'out of step with the notebooks: {", ".join(stale)}; run `make readme` and commit what changes')
    print('updated: '+', '.join(stale) if stale else 'in sync')

if __name__=='__main__': main('--write' in sys.argv)
