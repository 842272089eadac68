"""A few runs of seconds for each regime, strategy, level and kind of task, and what they gave when the digits were last looked at

`python tests/golden.py --write` stores what they give now; it asks for a new `numbers` where digits have changed."""
import hashlib,json,platform,re,sys,tempfile,warnings
from pathlib import Path

import numpy as np, pandas as pd, torch
from deep_al_illusions.study.provenance import numbers
from deep_al_illusions.study.spec import make_spec
from deep_al_illusions.loop.loop import run

stored = Path(__file__).parent/'golden.json'

_labels = dict(initial=20, per_cycle=10, cycles=2, iterations=12)
_margin = _labels|dict(strategy='margin')
_uda = _labels|dict(ssl='uda', strategy='entropy')
_clicks = dict(task='scenes', initial=100, per_cycle=60, cycles=2, iterations=4, subset=100)
_polygons = _clicks|dict(level='polygon', subset=400)

# chkstyle: ignore-node
runs = dict(
    random=_labels,
    entropy=_labels|dict(strategy='entropy'),
    margin=_margin,
    core_set=_labels|dict(strategy='core_set'),
    learn_loss=_labels|dict(strategy='learn_loss'),
    ens_varr=_labels|dict(strategy='ens_varr', members=2),
    weak=_margin|dict(augment='weak'),
    strong=_margin|dict(augment='strong'),
    author=_margin|dict(augment='strong', views_order='crop_first', padding='zero', cutout_fill='mean', head_init='classes'),
    schedule=_margin|dict(schedule='poly', warmup=.3, warmup_form='within', ema=.9, nesterov=False),
    digit_pairs=_labels|dict(task='digit_pairs', strategy='core_set', initial=100),
    subset=_labels|dict(strategy='entropy', subset=50),
    uda=_uda,
    uda_joint=_uda|dict(bn='joint', tsa='log', unlabelled='all'),
    uda_learn_loss=_uda|dict(strategy='learn_loss'),
    images=_clicks,
    entropy_images=_clicks|dict(strategy='entropy'),
    core_set_images=_clicks|dict(strategy='core_set'),
    learn_loss_images=_clicks|dict(strategy='learn_loss'),
    ens_ent_images=_clicks|dict(strategy='ens_ent', members=2),
    s4gan=_clicks|dict(ssl='s4gan', strategy='d_score', st_warmup=0.),
    control=_clicks|dict(ssl='s4gan', control=True),
    code=_clicks|dict(strategy='entropy', body_rate='code', norm='affine', augment='none', labels='original',
        aggregate='mean', reading='minmax', last='skip'),
    polygons=_polygons,
    entropy_polygons=_polygons|dict(strategy='entropy', last='over'),
    ens_ent_polygons=_polygons|dict(strategy='ens_ent', members=2, ensemble='probabilities', aggregate='max'),
    predicted=_polygons|dict(strategy='entropy', candidates='prediction'),
)

def machine()->dict:
    "What digits depend on besides the code: processor features, torch and numpy"
    try: said = Path('/proc/cpuinfo').read_text()
    except OSError: said = ''
    of_cpu = {k: (re.search(rf'^{k}\s*: (.*)$', said, re.M) or ['', ''])[1]
        for k in ('vendor_id', 'cpu family', 'model', 'flags')}
    features = [o for o in of_cpu.pop('flags').split() if re.match('avx|amx|fma|sse|f16c', o)]
    return of_cpu|dict(features=' '.join(sorted(features)), arch=platform.machine(),
        torch=torch.__version__.partition('+')[0], numpy=np.__version__)

def outcome(folder:Path)->dict:
    "What a run gave: scores, the first set, the purchase after it, and a digest of every digit"
    with np.load(folder/'picks.npz') as z: picks = {k: z[k] for k in ('ids', 'cycle', 'score')}
    cycles = pd.read_csv(folder/'cycles.csv', float_precision='round_trip')
    first,bought = (picks['ids'][picks['cycle']==c].tolist() for c in (0, 1))
    digits = [picks['ids'].tolist(), picks['score'].tolist(), *(cycles[k].tolist() for k in ('cost', 'score', 'loss'))]
    return dict(score=cycles.score.tolist(), first=first, bought=bought,
        digest=hashlib.blake2b(json.dumps(digits).encode(), digest_size=8).hexdigest())

def carried_out(names=runs):
    "Yield name and outcome of each golden run"
    with tempfile.TemporaryDirectory() as root,warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for k in names:
            folder = run(make_spec(device='cpu', **runs[k]), Path(root), say=lambda _: None)
            yield k,outcome(folder)

def write():
    "Store what the runs give now; digits that differ need a higher `numbers` first"
    was = json.loads(stored.read_text()) if stored.exists() else dict(numbers=0)
    new = dict(numbers=numbers, machine=machine(), runs=dict(carried_out()))
    same_place = was.get('machine')==new['machine']
    changed = [k for k,o in new['runs'].items() if k in was.get('runs', {}) and was['runs'][k]!=o]
    if changed and same_place and numbers<=was['numbers']:
        sys.exit(f'the digits of {", ".join(changed)} have changed; raise numbers above {was["numbers"]} first')
    stored.write_text(json.dumps(new, indent=1)+'\n')
    print(f'{len(new["runs"])} runs stored in {stored}')

if __name__=='__main__':
    if sys.argv[1:]!=['--write']: sys.exit(__doc__)
    write()
