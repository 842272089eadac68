"Runs on label maps: prices, what is labelled, what a query may see, memory, kills"
import copy,gc,os,signal,weakref
from functools import partial

import cv2, numpy as np, pandas as pd, pytest, torch
from PIL import Image

from deep_al_illusions.segment.clicks import conventions,outlines,polygons
from deep_al_illusions.study.basics import digest,InputError
from deep_al_illusions.study.spec import run_id,Spec
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.segment.deeplab import pixel_logits,pixel_loss,pixel_probs
from deep_al_illusions.loop.folder import columns,finished
from deep_al_illusions.loop.purchase import buy_next,check
from deep_al_illusions.loop.loop import run
from deep_al_illusions.learn.models import build
from deep_al_illusions.learn.weights import coco,imagenet
from deep_al_illusions.choose.pool import Pool
from deep_al_illusions.segment.regions import Labels,pixel_maps,reprice
from deep_al_illusions.segment.segdata import SegTask
from deep_al_illusions.learn.train import Bar,new_model,train

pytestmark = pytest.mark.filterwarnings('ignore:.*no test pixel of', 'ignore:.*use of fork')
quiet = dict(say=lambda o: None)
small = dict(model='deeplab-18-4', iterations=2, bs=4, crop=33, cycles=2, initial=.2, per_cycle=.1, members=2)
s4gan = dict(ssl='s4gan', bs_unl=4)

@pytest.fixture(scope='module')
def root(tmp_path_factory): return tmp_path_factory.mktemp('shared')

@pytest.fixture(scope='module')
def name(drawn): return f'masks:{drawn}/images,{drawn}/labels'

@pytest.fixture(scope='module')
def task(name): return load_task(name)

@pytest.fixture(scope='module')
def bare(drawn, tmp_path_factory):
    "The same scenes in two sizes, kept in files, where no class is free"
    root = tmp_path_factory.mktemp('bare')
    for p in sorted(drawn.rglob('*.png')):
        q = root/p.relative_to(drawn)
        q.parent.mkdir(parents=True, exist_ok=True)
        im = Image.open(p)
        im.crop((0, 0, 40, 48) if int(p.stem)%3 else (0, 0, 48, 48)).save(q)
    (root/'classes.txt').write_text('\n'.join('ground a b c d e f'.split()))
    return f'masks:{root}/images,{root}/labels'

def made(name, **kw): return Spec(**small|dict(task=name)|kw)

def bought(folder):
    "Ids, cycle and score of each purchase"
    with np.load(folder/'picks.npz') as z: return z['ids'],z['cycle'],z['score']

def result(folder):
    "What must be equal between two executions: all tables without their times, all maps"
    tables = [pd.read_csv(folder/'cycles.csv')[columns[:5]]]+[pd.read_csv(folder/f'{o}.csv') for o in ('ledger', 'audit', 'diagnostics') if (folder/f'{o}.csv').exists()]
    maps = {p.name: digest(p.read_bytes()) for p in folder.glob('panels/*')}
    return [o.fillna(-9).values.tolist() for o in tables],[np.nan_to_num(o, nan=-9).tolist() for o in bought(folder)],maps

# prices

def left_over(task, spec, ids, cycle):
    "Prices of what could still be bought"
    n,had = task.n_images,np.isin(np.arange(len(task.costs)), ids)
    if cycle and spec.level=='polygon': return task.costs[n:][~had[n:]&~had[task.image_of[n:]]]
    return task.costs[:n][~had[:n]]

def audit_of_prices(folder, spec, task):
    "Every purchase within its budget, paid once, and in the ledger"
    task,(ids,cycle,score) = task.at(spec),bought(folder)
    n,paid,budgets = task.n_images,task.costs[ids].numpy(),[*task.amounts(spec)[:1], *task.amounts(spec)[1:]*spec.cycles]
    for c,b in enumerate(budgets):
        p = paid[cycle==c]
        assert len(p) and (p.sum()-p[-1]<b if spec.last=='over' else p.sum()<=b)
        if spec.last=='over' and spec.candidates=='truth': assert p.sum()>=b
        if spec.last=='skip' and spec.candidates=='truth': assert b-p.sum()<left_over(task, spec, ids[cycle<=c], c).min()
    assert len({*ids.tolist()})==len(ids)
    whole,parts = {*ids[ids<n].tolist()},task.image_of[ids[ids>=n]].tolist()
    assert not whole&{*parts} and (spec.level=='polygon')==(max(ids)>=n) and (ids[cycle==0]<n).all()
    rows,ledger = pd.read_csv(folder/'cycles.csv'),pd.read_csv(folder/'ledger.csv')
    want = [paid[cycle<=c].sum() for c in range(len(budgets))]
    assert rows.cost.tolist()==want==ledger.groupby('cycle').clicks.sum().cumsum().tolist()
    assert rows.units.tolist()==[(cycle<=c).sum() for c in range(len(budgets))] and rows.score.between(0, 1).all()
    drawn = ledger[ledger.polygon>=0]
    assert not drawn.duplicated(['image', 'polygon']).any()
    assert spec.strategy=='random' or np.isfinite(score[cycle>0]).all()

@pytest.mark.parametrize('last', ['fits', 'skip', 'over'])
@pytest.mark.parametrize('strategy', ['random', 'entropy', 'core_set', 'learn_loss', 'ens_ent', 'd_score'])
def test_images(strategy, last, name, task, root):
    spec = made(name, strategy=strategy, last=last, **s4gan if strategy=='d_score' else {})
    audit_of_prices(run(spec, root, **quiet), spec, task)

@pytest.mark.parametrize('last', ['fits', 'skip', 'over'])
@pytest.mark.parametrize('strategy', ['random', 'entropy', 'ens_ent'])
def test_polygons(strategy, last, name, task, root):
    spec = made(name, level='polygon', strategy=strategy, last=last)
    audit_of_prices(run(spec, root, **quiet), spec, task)

@pytest.mark.parametrize('last', ['fits', 'skip', 'over'])
@pytest.mark.parametrize('strategy', ['random', 'entropy', 'ens_ent'])
def test_what_the_network_sees(strategy, last, bare, root):
    spec = made(bare, level='polygon', strategy=strategy, last=last, candidates='prediction', aggregate='mean')
    audit_of_prices(run(spec, root, **quiet), spec, load_task(bare))

def test_images_of_different_sizes(bare, root):
    for kw in dict(strategy='d_score', **s4gan),dict(strategy='learn_loss'),dict(strategy='core_set'),dict(strategy='entropy', level='polygon', labels='original'):
        spec = made(bare, **kw)
        audit_of_prices(run(spec, root, **quiet), spec, load_task(bare))

def test_levels_share_the_first_training(name, tmp_path):
    for kw in dict(level='image'),dict(level='polygon'),dict(level='polygon', candidates='prediction', aggregate='max'): run(made(name, cycles=0, **kw), tmp_path, **quiet)
    assert len([*tmp_path.glob('trainings/*.pt')])==1

def test_a_network_that_sees_nothing_asks_for_the_largest_object(name, task):
    spec = made(name, level='polygon', strategy='entropy', candidates='prediction')
    t,model = task.at(spec),build(spec.model, task, torch.Generator())
    model[1].head[0].bias.data[0] = 1e4
    pool = Pool(len(t.costs), [1])
    units = pool.unl[t.offered(model, pool, spec)]
    o,n = t.outlines,t.n_images
    largest = {int(n+o.of(i)[np.bincount(x[x>=0]).argmax()]) for i in range(n) if i!=1 and (x := o.index(i, o.of(i))).max()>=0}
    assert {*units.tolist()}==largest|{n+len(o)+i for i in range(n) if i!=1 and not len(o.of(i))}

def test_segments_are_scored_one_by_one(task):
    "Two segments on one object, two on nothing, one on what was bought: no score adds up what the truth would join"
    spec = Spec(task='scenes', level='polygon', candidates='prediction', tolerance=0)
    y = torch.zeros(1, 24, 40, dtype=torch.uint8)
    y[0,2:22,2:18],y[0,2:10,30:38] = 1,2
    x = torch.zeros(1, 3, 24, 40, dtype=torch.uint8)
    t = SegTask('two', ['ground', 'a', 'b'], x, y, x, y, background=0).at(spec)
    pred = np.zeros((24, 40), np.int64)
    pred[2:8,4:10] = pred[12:20,4:10] = pred[3:6,30:34] = pred[14:18,22:26] = pred[14:18,30:36] = 1
    units = torch.tensor([1, 3])
    r,own = t.regions(0, units, pred)
    assert sorted(own.tolist())==[-1, 0, 0, 1, 1]
    assert sorted((r==k).sum() for k in range(5))==[12, 16, 24, 36, 48]

def test_void_alone_is_not_background(task):
    x,y = torch.zeros(2, 3, 24, 24, dtype=torch.uint8),torch.zeros(2, 24, 24, dtype=torch.uint8)
    y[0],y[1,4:9,4:9] = 255,1
    with pytest.warns(UserWarning, match='void'): t = SegTask('void', ['ground', 'a'], x, y, x, y, background=0).at(Spec(task='scenes'))
    assert (Labels(t, [0, 1])[0]==255).all() and {*Labels(t, [0, 1])[1].unique().tolist()}=={0, 1}

def test_annotations_of_other_sizes_or_classes(task):
    maps = [np.asarray(o) for o in task.y_train]
    for bad,words in ([np.zeros((9, 9), np.uint8), *maps[1:]], 'annotation 0 is 9 x 9'),([np.full_like(maps[0], 8), *maps[1:]], 'has class 8'):
        with pytest.raises(InputError, match=words): task.drawn_by(outlines(bad, 1))

def test_weights_by_their_name_in_data_root(name, tmp_path, monkeypatch):
    "In every place that reads them, and with the statistics that they have seen"
    (tmp_path/'data').mkdir()
    monkeypatch.setenv('DAL_DATA_ROOT', str(tmp_path/'data'))
    task = load_task(name)
    own = build(small['model'], task, torch.Generator())[1].state_dict()
    kinds = dict(own=(own, dict(mean=task.mean, std=task.std)), coco=({f'Scale.{k}': v for k,v in own.items()}, coco), net=(own|{'fc.weight': torch.zeros(1)}, imagenet))
    for k,(sd,_) in kinds.items(): torch.save(sd, tmp_path/'data'/f'{k}.pth')
    monkeypatch.chdir(tmp_path)
    for k,(_,seen) in kinds.items():
        spec = made(name, init=f'{k}.pth', cycles=0)
        assert finished(run(spec, tmp_path/'runs', **quiet))
        norm = new_model(task, spec, lambda o: torch.Generator())[0]
        torch.testing.assert_close(norm.std.flatten(), torch.tensor(seen['std'])*255)

def test_an_interrupted_bf16_training_leaves_no_autocast(name, tmp_path, monkeypatch):
    monkeypatch.setattr('deep_al_illusions.segment.deeplab.DeepLabv2.features', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt): run(made(name, cycles=0, precision='bf16'), tmp_path, **quiet)
    assert not torch.is_autocast_enabled('cpu')

@pytest.mark.parametrize('kw', [dict(strategy='d_score'), dict(strategy='margin'), dict(strategy='ens_varr'), dict(strategy='d_score', control=True, **s4gan)]
    +[dict(level='polygon', strategy=o) for o in ('learn_loss', 'core_set', 'd_score')])
def test_a_strategy_without_what_it_needs(kw, name, task):
    with pytest.raises(InputError, match='does not give') as e: check(made(name, **kw), task)
    assert '\n' not in str(e.value)

# what is labelled

def by_pixel(mask, some, tolerance, background, fill):
    "Class of each pixel: that of the smallest polygon over it, of those with first pixels in `some`"
    polys = [p for p in polygons(mask, tolerance, background=background) if some is None or tuple(p.at) in some]
    polys.sort(key=lambda p: -p.area)
    res = np.full(mask.shape, fill, np.uint8)
    for p in polys:
        ring = np.ascontiguousarray(p.points[:,None,::-1])
        for r,c in np.ndindex(mask.shape):
            if cv2.pointPolygonTest(ring, (float(c), float(r)), False)>=0: res[r,c] = p.cls
    return res

@pytest.mark.parametrize('labels', ['approximated', 'original'])
@pytest.mark.parametrize('background', [0, None])
def test_what_was_bought_is_labelled_and_nothing_else(background, labels, name, task):
    task = copy.copy(task)
    task.background,task.made = background,{}
    t = task.at(made(name, level='polygon', labels=labels))
    o,n = t.outlines,t.n_images
    some = [i for i in range(n) if len(o.of(i))>1][:6]
    whole,units = some[:2],{i: o.of(i)[k%2::2] for k,i in enumerate(some[2:5])}
    lab = Labels(t, whole+[n+int(p) for q in units.values() for p in q])
    for i in range(n):
        mask,fill = t.y_train[i].numpy(),255 if i not in whole or background is None else background
        at = None if i in whole else {tuple(o.at[p]) for p in units.get(i, [])}
        want = by_pixel(mask, at, 2, background, fill)
        if labels=='original': want = mask if i in whole else np.where(mask==want, want, 255)
        assert (lab[i].numpy()==want).all(), i
        if i in units and background==0: assert not (lab[i]==0).any()
    assert lab.images.tolist()==sorted(some[:5])

def test_nothing_bought_is_no_label(name, task):
    t = task.at(made(name, level='polygon', candidates='prediction'))
    k = t.n_images+len(t.outlines)
    lab = Labels(t, [k+3])
    assert (lab[3]==255).all() and not len(lab.images)

def test_unlabelled_crops_show_no_label(name, task):
    t = task.at(made(name))
    t.labels = Labels(t, [1, 4])
    for labelled in True,False:
        y = torch.cat([y for _,y in t.crops(torch.tensor([1, 2]), 4, 6, torch.Generator(), labelled)])
        assert (y!=255).any()==labelled

# what a query may see

needs = dict(image='pixels ens_pixels embs lbl_embs pred_loss d_score'.split(), polygon='pixels ens_pixels'.split())
full = dict(strategy='learn_loss', aggregate='mean', **s4gan)

def scrambled(task, keep, void=False):
    "The task with other label maps for all images but `keep`"
    res,g = copy.copy(task),torch.Generator().manual_seed(1)
    res.y_train,res.made = task.y_train.clone(),{}
    res.__dict__.pop('digest', None)
    for i in {*range(len(res.y_train))}-{*keep}:
        y = torch.randint(0, len(task.classes), res.y_train[i].shape, generator=g).byte()
        res.y_train[i] = 255 if void else y
    return res

def trained(task, spec, root, lbl): return train(task.at(spec), spec, lbl, root=root, extra=['pred_loss'])[0]

@pytest.mark.parametrize('void', [False, True])
def test_a_label_that_was_not_bought_is_never_read(void, name, task, tmp_path):
    lbl,spec = [1, 4, 7],made(name, **full)
    other = scrambled(task, lbl, void)
    a,b = (trained(t, spec, tmp_path, lbl) for t in (task, other))
    assert len([*tmp_path.glob('*.pt')])==2 and digest(*a.state_dict().values())==digest(*b.state_dict().values())
    ids,pool = torch.tensor([0, 2, 3, 5, 6]),Pool(20, lbl)
    x,y = (t.at(spec).outputs(a, spec, needs['image'], ids, pool, [b]) for t in (task, other))
    for k in needs['image']: assert torch.equal(getattr(x, k), getattr(y, k)), k

@pytest.mark.parametrize('kw', [dict(), dict(level='polygon'), dict(level='polygon', labels='original'), dict(level='polygon', candidates='prediction')])
def test_of_what_is_sold_only_outlines_are_known(kw, name, task, root):
    spec,lbl = made(name, strategy='entropy', aggregate='mean', **kw),[1, 4, 7]
    t = task.at(spec)
    model,_ = train(t, spec, lbl, root=root)
    shaken(model)
    other = copy.copy(t)
    other.y_train = scrambled(task, lbl).y_train
    a,b = (buy_next(model, o, Pool(len(t.costs), lbl), spec, 0) for o in (t, other))
    assert a[0].lbl==b[0].lbl and a[1]==b[1] and len({*a[1]})>1

def shaken(model):
    "A head that predicts many classes"
    with torch.no_grad():
        for p in model[1].head.parameters(): p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(3)))

def test_scoring_is_in_evaluation_mode(name, task, root):
    spec,lbl = made(name, **full),[1, 4, 7]
    model,t = trained(task, spec, root, lbl),task.at(spec)
    model.train()
    state,rng = {k: v.clone() for k,v in model.state_dict().items()},torch.get_rng_state()
    t.outputs(model, spec, needs['image'], torch.arange(8, 20), Pool(20, lbl), [other := copy.deepcopy(model)])
    assert model.training and other.training and model[1].disc.training and torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(v, state[k]) for k,v in model.state_dict().items())

@pytest.mark.parametrize('level', ['image', 'polygon'])
@pytest.mark.parametrize('which', ['same size', 'two sizes'])
def test_scores_do_not_depend_on_batch_size_and_order(level, which, name, bare, root, monkeypatch):
    name,lbl = name if which=='same size' else bare,[1, 4, 7]
    spec = made(name, **full)
    task = load_task(name)
    model = trained(task, spec, root, lbl)
    shaken(model)
    spec = made(name, **full|dict(level=level, strategy='entropy'))
    t = task.at(spec)
    ids,pool = torch.arange(8, 20) if level=='image' else t.n_images+torch.arange(len(t.outlines)),Pool(len(t.costs), lbl)
    go = lambda ids: t.outputs(model, spec, needs[level], ids, pool, [model])
    p = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
    a,b = go(ids),go(ids[p])
    for k,f in ('pixel_probs', pixel_probs),('pixel_logits', pixel_logits): monkeypatch.setattr(f'deep_al_illusions.segment.regions.{k}', partial(f, most=5))
    c = go(ids)
    for k in needs[level]:
        torch.testing.assert_close(getattr(a, k), getattr(c, k), rtol=1e-4, atol=1e-5)
        if k!='lbl_embs': torch.testing.assert_close(getattr(a, k)[p], getattr(b, k), rtol=1e-4, atol=1e-5)

@pytest.mark.parametrize('level', ['image', 'polygon'])
def test_memory_does_not_grow_with_the_pool(level, name, task, root, monkeypatch):
    spec = made(name, strategy='entropy', level=level)
    model,_ = train(task.at(spec), spec, [1, 4, 7], root=root)
    def peak(f, get):
        live,most = [],[0]
        def watched(*args, **kw):
            for o in f(*args, **kw):
                live[:] = [r for r in live if r() is not None]+[weakref.ref(get(o))]
                most[0] = max(most[0], len(live))
                yield o
                del o
        return watched,most
    (maps,a),(probs,b) = peak(pixel_maps, lambda o: o[1]),peak(partial(pixel_probs, most=4), lambda o: o[1])
    monkeypatch.setattr('deep_al_illusions.segment.regions.pixel_maps', maps)
    monkeypatch.setattr('deep_al_illusions.segment.regions.pixel_probs', probs)
    seen = []
    for k in 1,3:
        big = copy.copy(task)
        big.x_train,big.y_train,big.made = task.x_train.repeat(k, 1, 1, 1),task.y_train.repeat(k, 1, 1),{}
        big.__dict__.pop('digest', None)
        t = big.at(spec)
        ids = torch.arange(t.n_images) if level=='image' else t.n_images+torch.arange(len(t.outlines))
        a[0] = b[0] = 0
        gc.collect()
        t.outputs(model, spec, ['pixels'], ids)
        seen.append((a[0], b[0]))
    assert seen[0]==seen[1] and max(seen[0])<=5, seen

# kills and seeds

@pytest.mark.parametrize('kw', [dict(strategy='ens_ent', level='polygon'), dict(strategy='d_score', **s4gan)], ids=['polygons', 's4gan'])
def test_killed_equals_uninterrupted(kw, name, tmp_path, monkeypatch):
    monkeypatch.setenv('DAL_CHECKPOINT_S', '0')
    spec,plain = made(name, **kw|dict(iterations=4)),Bar.after_batch
    want = result(run(spec, tmp_path/'a', **quiet))
    def die(self):
        if self.batches.i==3 and [*(tmp_path/'b').glob('trainings/*.pt')]: os.kill(os.getpid(), signal.SIGKILL)
    if not (pid := os.fork()):
        Bar.after_batch = die
        try: run(spec, tmp_path/'b', **quiet)
        finally: os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1])==signal.SIGKILL and Bar.after_batch is plain
    folder = tmp_path/'b'/run_id(spec)
    assert not finished(folder) and len([*tmp_path.glob('b/trainings/*.ckpt')])==1
    assert result(run(spec, tmp_path/'b', **quiet))==want and want[2]

@pytest.mark.parametrize('kw', [dict(), dict(legacy=True, unlabelled='all'), dict(control=True)])
def test_same_seed_same_result(kw, name, tmp_path):
    strategy = 'entropy' if 'control' in kw else 'd_score'
    a,b,c = (result(run(made(name, strategy=strategy, trial=t, **s4gan|kw), tmp_path/str(i), **quiet)) for i,t in enumerate((1, 1, 2)))
    assert a==b!=c

def test_the_pictures_are_small_and_complete(name, task, root):
    folder = run(made(name, level='polygon', strategy='entropy', last='skip'), root, **quiet)
    assert {p.name for p in folder.glob('panels/*')}=={*(f'test_{c}.npz' for c in range(3)), 'bought_0.npz', 'bought_1.npz'}
    with np.load(folder/'panels/bought_1.npz') as z: assert z['prediction_0'].shape==z['entropy_0'].shape==(48, 48) and len(z['ids'])==len(z['polygons'])

# prices of another model

@pytest.mark.parametrize('convention', conventions)
@pytest.mark.parametrize('kw', [dict(), dict(level='polygon')])
def test_reprice(kw, convention, name, task, root):
    ledger = pd.read_csv(run(made(name, strategy='random', last='fits', **kw), root, **quiet)/'ledger.csv')
    sums = lambda d: d.groupby(['cycle', 'image']).clicks.sum().to_dict()
    own,fine,coarse = (reprice(ledger, task, *o) for o in ((2,), (0, convention), (5, convention)))
    assert sums(own)==sums(ledger) and own.clicks.sum()==ledger.clicks.sum()
    fine,coarse = sums(fine),sums(coarse)
    assert {*fine}=={*coarse} and all(fine[k]>=coarse[k] for k in fine) and sum(fine.values())>sum(coarse.values())

def test_reprice_of_an_empty_picture(name, task):
    rows = pd.DataFrame([dict(cycle=0, unit=o, image=3, polygon=-1, row=-1, col=-1, clicks=1)|{'class': -1} for o in ('image', 'nothing')])
    empty = copy.copy(task)
    empty.y_train = task.y_train*0
    assert reprice(rows, empty, 2).clicks.tolist()==[1, 1]

# void

@pytest.mark.parametrize('kw', [dict(), s4gan])
def test_images_with_hardly_a_label_give_finite_losses(kw, drawn, tmp_path, monkeypatch):
    seen = []
    def noted(self, z, y):
        seen.append(pixel_loss(z, y))
        return seen[-1]
    monkeypatch.setattr(SegTask, 'loss', noted)
    for p in sorted(drawn.rglob('*.png')):
        a = np.array(Image.open(p))
        if 'labels' in p.parts and 'train' in p.parts: a[6*(int(p.stem)%4==1):] = 255
        q = tmp_path/'d'/p.relative_to(drawn)
        q.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(a).save(q)
    (tmp_path/'d/classes.txt').write_text('\n'.join('background a b c d e f'.split()))
    spec = made(f'masks:{tmp_path}/d/images,{tmp_path}/d/labels', strategy='learn_loss', labels='original', iterations=8, bs=2, initial=4, per_cycle=2, **kw)
    with pytest.warns(UserWarning, match='are void'): task = load_task(spec.task).at(spec)
    model,res = train(task, spec, range(6), root=tmp_path, extra=['pred_loss'])
    outs = task.outputs(model, spec, ['pred_loss', 'pixels'], torch.arange(20))
    assert all(v.isfinite().all() for v in [*model.state_dict().values(), outs.pred_loss, outs.pixels, *seen]) and np.isfinite(res['loss'])
    assert 0 in seen and max(seen)>0
