"""Count what makes code hard to read, and fail where a count is worse than what is agreed

    python tools/style.py                 check against tools/style.json
    python tools/style.py --table         before, now and target
    python tools/style.py --list [WORD]   where it is, of all counts or of those whose name has WORD
    python tools/style.py --write         agree on the counts of now, where they are better

Counted are the exported cells of the notebooks. Docstrings and comments do not count as width; strings and messages do.
A node is a node of Python's syntax tree, on the line where it begins. Counts of lines, functions, methods and tables are
for each 10,000 exported lines, so that the package may grow."""
import ast,io,json,re,sys,tokenize
from collections import Counter
from dataclasses import dataclass,field
from pathlib import Path

root = Path(__file__).resolve().parent.parent
agreed = root/'tools/style.json'

@dataclass
class Count:
    "One thing that is counted"
    what:str # In words
    at_release:float # In 0.5.0
    target:float
    a_share:bool=False # A share or a size, not a number for each 10,000 lines
    more_is_better:bool=False
    places:list=field(default_factory=list) # Notebook and line, or name, of each
    value:float=0.

    def worse(self, than): return self.value<than if self.more_is_better else self.value>than
    def reached(self): return not self.worse(self.target)

def all_counts()->dict:
    return dict(
        wide=Count('lines over 100 columns', 825, 0),
        dense=Count('lines over 25 nodes', 455, 30),
        long=Count('functions over 200 nodes', 127, 35),
        very_long=Count('functions over 300 nodes', 60, 0),
        cells=Count('exported cells over 20 lines, %', 28.1, 10, a_share=True),
        notebook=Count('exported lines of the longest notebook', 388, 200, a_share=True),
        lessons=Count('lesson lines an exported line', .26, .5, a_share=True, more_is_better=True),
        star=Count('star imports', 95, 0),
        foreign=Count('methods patched outside the notebook of their class', 44, 0),
        tables=Count('tables of settings', 15, 1))

def notebooks(): return [p for p in sorted(root.glob('nbs/**/*.ipynb')) if '.ipynb_checkpoints' not in p.parts]

def code_cells(path):
    "The first line and the source of each code cell; lines are counted within the cell"
    cells = json.loads(path.read_text('utf-8'))['cells']
    return [''.join(c['source']) for c in cells if c['cell_type']=='code']

def directives(source): return ' '.join(re.findall(r'^#\|\s*(.*)$', source, re.M))
def exported(source): return bool(re.match(r'export', directives(source)))
def lines_of(source): return [o for o in source.splitlines() if o.strip() and not o.startswith('#|')]

def bare(source):
    "The lines of a cell without comments and docstrings"
    lines = source.splitlines()
    for t in tokenize.generate_tokens(io.StringIO(source).readline):
        if t.type==tokenize.COMMENT:
            row,column = t.start
            lines[row-1] = lines[row-1][:column].rstrip()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)): continue
        first = node.body[0] if node.body else None
        if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant): continue
        for row in range(first.lineno, first.end_lineno+1): lines[row-1] = ''
    return lines

def nodes_of(tree):
    "How many nodes begin on each line"
    return Counter(o.lineno for o in ast.walk(tree) if hasattr(o, 'lineno'))

def functions_of(tree): return [o for o in ast.walk(tree) if isinstance(o, (ast.FunctionDef, ast.AsyncFunctionDef))]
def size_of(function): return sum(1 for _ in ast.walk(function))

def patched(tree):
    "Name and class of each method that is added to a class from outside"
    for f in functions_of(tree):
        says = [ast.unparse(o) for o in f.decorator_list]
        if any(o.split('(')[0]=='patch' for o in says) and f.args.args[0].annotation:
            yield f.name,ast.unparse(f.args.args[0].annotation)

def classes_of(tree): return {o.name for o in ast.walk(tree) if isinstance(o, ast.ClassDef)}

def names_of_settings():
    "The settings, from the classes that declare them"
    found = set()
    for p in notebooks():
        for source in filter(exported, code_cells(p)):
            for c in ast.walk(ast.parse(source)):
                if not isinstance(c, ast.ClassDef): continue
                for o in c.body:
                    declares = isinstance(o, ast.AnnAssign) and o.value and ast.unparse(o.value).startswith('setting(')
                    if declares: found.add(o.target.id)
    return found

def says_of_settings(statement, names):
    "Is a statement of a module one more list of what settings are?"
    if not isinstance(statement, ast.Assign): return False
    words = []
    for o in ast.walk(statement.value):
        if isinstance(o, ast.keyword) and o.arg: words.append(o.arg)
        if isinstance(o, ast.Constant) and isinstance(o.value, str): words += o.value.split()
    ours = [o for o in words if o in names]
    return len({*ours})>=5 and len(ours)>=.5*len(words)

def look_at(path, counts, names):
    "Add what one notebook has to the counts; its exported lines, its lesson lines, its cells"
    here = path.relative_to(root/'nbs').as_posix()
    sources = code_cells(path)
    is_module = any('default_exp' in directives(o) for o in sources)
    mine,trees = [o for o in sources if exported(o)],{}
    own = set()
    for source in mine: own |= classes_of(ast.parse(source))
    total = 0
    for source in mine:
        tree,total = ast.parse(source),total+len(lines_of(source))
        plain,dense = bare(source),nodes_of(tree)
        def note(name, line): counts[name].places.append(f'{here}: {line.strip()[:110]}')
        for i,line in enumerate(plain, 1):
            if len(line)>100: note('wide', line)
            if dense[i]>25: note('dense', line)
        for f in functions_of(tree):
            n = size_of(f)
            if n>200: note('long', f'{f.name} ({n} nodes)')
            if n>300: note('very_long', f'{f.name} ({n} nodes)')
        for f,c in patched(tree):
            if c not in own: note('foreign', f'{c}.{f}')
        for o in tree.body:
            if isinstance(o, ast.ImportFrom) and o.names[0].name=='*': note('star', ast.unparse(o))
            if says_of_settings(o, names) and 'scales' not in here: note('tables', ast.unparse(o.targets[0]))
        if len(lines_of(source))>20: note('cells', f'{len(lines_of(source))} lines: {lines_of(source)[0]}')
    lessons = [o for o in sources if not exported(o) and 'hide' not in directives(o)]
    taught = sum(len(lines_of(o)) for o in lessons) if is_module else 0
    if total>counts['notebook'].value: counts['notebook'].value = total
    if total>200: counts['notebook'].places.append(f'{here}: {total} lines')
    return total,taught,len(mine)

def counted()->dict:
    counts,names = all_counts(),names_of_settings()
    rows = [look_at(p, counts, names) for p in notebooks()]
    lines,taught,cells = map(sum, zip(*rows))
    for c in counts.values():
        if not c.a_share: c.value = round(len(c.places)*10000/max(lines, 10000), 1)
    counts['tables'].value = len(counts['tables'].places)+1 # One is `Spec` itself
    counts['cells'].value = round(100*len(counts['cells'].places)/cells, 1)
    counts['lessons'].value = round(taught/lines, 2)
    return counts

def table(counts):
    print(f'{"":56}{"0.5.0":>8}{"now":>8}{"target":>8}')
    for c in counts.values():
        mark = '' if c.reached() else '  *'
        print(f'{c.what:56}{c.at_release:>8g}{c.value:>8g}{c.target:>8g}{mark}')

def check(counts):
    "Exit with the counts that are worse than agreed"
    limits = json.loads(agreed.read_text())
    bad = [k for k,c in counts.items() if c.worse(c.target) and c.worse(limits.get(k, c.target))]
    for k in bad:
        print(f'{counts[k].what}: {counts[k].value:g}, and no worse than {limits.get(k, counts[k].target):g} is agreed')
        for o in counts[k].places[-10:]: print('   ', o)
    if bad: sys.exit('see all places with python tools/style.py --list '+bad[0])
    left = sum(not c.reached() for c in counts.values())
    print(f'{len(counts)-left} of {len(counts)} counts at their targets, none worse than agreed')

def write(counts):
    limits = json.loads(agreed.read_text()) if agreed.exists() else {}
    for k,c in counts.items():
        if k not in limits or not c.worse(limits[k]): limits[k] = c.value
    agreed.write_text(json.dumps(limits, indent=1)+'\n')

def main(args):
    counts = counted()
    if args[:1]==['--table']: return table(counts)
    if args[:1]==['--write']: return write(counts)
    if args[:1]==['--list']:
        for k,c in counts.items():
            if args[1:] and args[1] not in k: continue
            print(f'{c.what}: {c.value:g}')
            for o in c.places: print('   ', o)
        return
    if args: sys.exit(__doc__)
    check(counts)

if __name__=='__main__': main(sys.argv[1:])
