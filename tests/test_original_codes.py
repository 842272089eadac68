"What the original codes do, written out in a few lines, and what a setting makes of it"
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np, pytest, torch
from torch import nn
from torchvision.transforms import functional as TF

from deep_al_illusions.tasks.augment import augments,Chain,Recipe,strong,weak
from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import make_spec,Spec
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.segment.deeplab import norm_mode
from deep_al_illusions.loop.purchase import tied_within
from deep_al_illusions.learn.models import build,Normalize
from deep_al_illusions.learn.weights import coco
from deep_al_illusions.segment.s4gan import S4GAN,unit_range
from deep_al_illusions.learn.learner import groups,Schedule,sgd
from deep_al_illusions.learn.train import new_model,train,training_key

@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    for k in 'FAST', 'AT_ONCE': monkeypatch.delenv(f'DAL_{k}', raising=False)
    monkeypatch.setenv('DAL_DEVICE', 'cpu')

his = dict(views_order='crop_first', padding='zero', cutout_fill='mean', head_init='classes')

# What is the default of which scale

def test_the_paper_scale_follows_his_supervised_script():
    for task in 'cifar10', 'cifar100', 'digits', 'npz:x.npz':
        s = Spec(task=task, scale='paper')
        assert {k: getattr(s, k) for k in his}==his
        assert (s.lr_min, s.schedule, s.warmup, s.bs, s.epochs)==(1e-4, 'cosine', 0, 64, 150)

def test_the_paper_scale_of_uda_follows_his_other_script():
    s = Spec(task='cifar10', scale='paper', ssl='uda')
    assert (s.views_order, s.padding, s.cutout_fill)==('policy_first', 'reflect', 'black')
    assert (s.lr_min, s.warmup, s.warmup_form, s.head_init)==(1e-4, .1, 'within', 'classes')

def test_the_pocket_scale_is_as_it_was():
    for ssl in 'none', 'uda':
        s = Spec(ssl=ssl)
        assert (s.views_order, s.padding, s.cutout_fill)==('policy_first', 'reflect', 'black')
        assert (s.warmup_form, s.head_init, s.channels)==('before', 'inputs', 'rgb')
    assert Spec().lr_min==0

@pytest.mark.parametrize('scale', ['paper', 'pocket'])
def test_segmentation_has_none_of_it(scale):
    s = Spec(task='scenes', scale=scale)
    assert {getattr(s, k) for k in his}=={None} and (s.lr_min, s.body_rate)==(0, 'stated')
    for k,v in his.items():
        with pytest.raises(InputError, match=f'{k} has no meaning without a classification task'):
            Spec(task='scenes', scale=scale, **{k: v})

@pytest.mark.parametrize('kw,words', [
    (dict(padding='black'), 'unknown padding'), (dict(views_order='crop'), 'known: policy_first, crop_first'),
    (dict(cutout_fill='grey'), 'unknown cutout_fill'), (dict(head_init='class'), "did you mean 'classes'"),
    (dict(warmup_form='in'), 'known: before, within'), (dict(channels='brg'), 'known: rgb, bgr'),
    (dict(body_rate='code'), 'without a segmentation task'),
    (dict(model='resnet18', head_init='classes'), 'head_init is for a WRN')])
def test_a_word_that_is_none_is_named(kw, words):
    with pytest.raises(InputError, match=words): Spec(**kw)

def test_a_spec_read_back_is_the_same():
    specs = [Spec(), Spec(scale='paper', ssl='uda'), Spec(scale='paper', model='resnet18', init='imagenet'),
        Spec(task='scenes', level='polygon'), Spec(task='scenes', body_rate='code', channels='bgr')]
    for s in specs: assert make_spec(**vars(s))==s

def test_each_of_them_makes_another_training():
    task = load_task('digits')
    for scale in 'pocket', 'paper':
        s = Spec(scale=scale)
        words = dict(views_order=['policy_first', 'crop_first'], padding=['zero', 'reflect'], channels=['rgb', 'bgr'],
            cutout_fill=['black', 'mean'], warmup_form=['before', 'within'], head_init=['inputs', 'classes'])
        other = {k: next(o for o in v if o!=getattr(s, k)) for k,v in words.items()}
        keys = {training_key(task, Spec(**vars(s)|{k: v}), [1, 2]) for k,v in other.items()}
        assert len(keys|{training_key(task, s, [1, 2])})==7

# D4: the cosine

@pytest.mark.parametrize('steps,warm', [(1000, .1), (400, .25), (50, 0.), (7, .3), (1, 0.), (20, 1.)])
def test_a_warm_up_within_is_his_scheduler_with_its_start_overwritten(steps, warm):
    w = nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([w], .03)
    closed = torch.optim.lr_scheduler.LambdaLR(opt, lambda i: (1e-4+(.03-1e-4)*(1+math.cos(math.pi*i/steps))/2)/.03)
    spec = Spec(lr=.03, lr_min=1e-4, warmup=warm, warmup_form='within')
    ours,first = Schedule(spec, SimpleNamespace(n_iter=steps)),round(warm*steps)
    for i in range(steps):
        theirs = i/first*.03 if i<first else opt.param_groups[0]['lr']
        assert ours.rate(i)==pytest.approx(theirs, abs=1e-12)
        opt.step()
        closed.step()

def test_without_a_warm_up_the_two_forms_are_one():
    a,b = (Schedule(Spec(warmup_form=o), SimpleNamespace(n_iter=90)) for o in ('before', 'within'))
    assert [a.rate(i) for i in range(90)]==[b.rate(i) for i in range(90)]

# D5: the last layer

def test_the_last_layer_of_a_wrn_alone_changes():
    toy = SimpleNamespace(classes=[*range(100)], mean=[.5]*3, std=[.25]*3)
    a,b = [build('wrn-10-1', toy, torch.Generator().manual_seed(3), head_init=o) for o in ('inputs', 'classes')]
    for (k,v),w in zip(a.state_dict().items(), b.state_dict().values()): assert torch.equal(v, w)==('head' not in k)
    assert .095<b[1].head.weight.abs().max()<=.1 and not b[1].head.bias.any() and a[1].head.bias.all()
    r,s = [build('resnet18@32', toy, torch.Generator().manual_seed(3), head_init=o) for o in ('inputs', 'classes')]
    assert torch.equal(r[1].head.weight, s[1].head.weight)

def test_first_logits_are_several_times_as_spread():
    task = load_task('digits')
    spread = {}
    for o in 'inputs', 'classes':
        m = build('wrn-28-2', task, torch.Generator().manual_seed(0), head_init=o).eval()
        with torch.no_grad(): spread[o] = m(task.x_test[:200]).std().item()
    assert 2.5<spread['classes']/spread['inputs']<6, spread

# D7: the views

def task_of(breaks=(), n=6, size=32):
    x = torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return SimpleNamespace(breaks=breaks, x=x, mean=[.4914, .4822, .4465], std=[.2023, .1994, .2010])

def test_the_recipes_of_the_two_scripts():
    t = task_of()
    a,b = strong(t, Recipe('crop_first', 'zero', t.mean)),strong(t)
    names = lambda c: [type(o).__name__ for o in c]
    assert names(a)==['RandomCrop', 'RandomFlip', 'AutoAugment', 'Cutout'] and a[0].mode=='zero'
    assert names(b)==['AutoAugment', 'Cutout', 'RandomCrop', 'RandomFlip'] and b[2].mode=='reflect'
    assert names(strong(task_of(('flip', 'cutout')), Recipe('crop_first')))==['RandomCrop', 'AutoAugment']
    assert [o.mode for o in weak(t, Recipe(padding='zero')) if hasattr(o, 'mode')]==['zero']

@pytest.mark.parametrize('order', ['policy_first', 'crop_first'])
@pytest.mark.parametrize('padding', ['reflect', 'zero'])
def test_a_mean_cutout_is_a_mask_after_normalisation(order, padding):
    t,n = task_of(),Normalize([.4914, .4822, .4465], [.2023, .1994, .2010])
    mean,black = (strong(t, Recipe(order, padding, o)) for o in (t.mean, 0))
    draws = mean.draw(t.x.shape, torch.Generator().manual_seed(2))
    got,same = n(mean.apply(t.x, draws)),n(black.apply(t.x, draws))
    hole = (got==0).all(1, keepdim=True)
    assert hole.any() and torch.equal(torch.where(hole, 0, got), torch.where(hole, 0, same))
    whole = n(Chain(o for o in mean if type(o).__name__!='Cutout').apply(t.x, [d for o,d in zip(mean, draws) if type(o).__name__!='Cutout']))
    if order=='crop_first':
        cut = mean[-1].hidden(t.x.shape, draws[-1]).expand_as(whole)
        assert torch.equal(got, whole*~cut)

def test_the_mean_is_that_of_the_network():
    task,s = load_task('digits'),Spec(scale='paper', augment='strong', model='wrn-10-1')
    cut = task.augmentation(s)[-1]
    norm = new_model(task, s, lambda o: torch.Generator().manual_seed(0))[0]
    assert torch.equal(norm(torch.tensor(cut.fill)[:,None,None]*255), torch.zeros(3, 1, 1))

def test_an_augmentation_of_ones_own_keeps_its_recipe(monkeypatch):
    monkeypatch.setitem(augments, 'mine', lambda task: Chain(weak(task)))
    task = load_task('digits')
    assert task.augmentation(Spec(augment='mine', scale='paper'))[0].mode=='reflect'
    monkeypatch.setitem(augments, 'yours', lambda task, recipe: weak(task, recipe))
    assert task.augmentation(Spec(augment='yours', scale='paper'))[0].mode=='zero'

def test_his_weak_views_are_torchvisions():
    t,c = task_of(),weak(task_of(), Recipe(padding='zero'))
    shift,flip = c.draw(t.x.shape, torch.Generator().manual_seed(5))
    for x,s,f,y in zip(t.x, shift, flip, c.apply(t.x, [shift, flip])):
        i,j = (s+4).tolist()
        theirs = TF.crop(TF.pad(x, 4), i, j, 32, 32)
        assert torch.equal(y, TF.hflip(theirs) if f else theirs)

@pytest.mark.parametrize('kw', [dict(augment='strong'), dict(augment='weak'), dict(ssl='uda', bs_unl=16)])
def test_a_training_with_his_settings_can_be_done_again(kw, tmp_path):
    task,s = load_task('digits'),Spec(scale='paper', model='wrn-10-1', iterations=12, epochs=None, bs=8, **kw)
    a,b = (train(task, s, range(20), root=tmp_path/o)[1] for o in 'ab')
    assert (a['score'], a['loss'])==(b['score'], b['loss'])

# D1: the rate of the body

def published(net):
    "`get_1x_lr_params_NOscale` on our network, without what has no gradient"
    for part in net.conv1, net.bn1, net.layer1, net.layer2, net.layer3, net.layer4:
        for module in part.modules():
            for p in module.parameters():
                if p.requires_grad: yield p

@pytest.mark.parametrize('name', ['deeplab-101-4', 'deeplab-50-4', 'deeplab-34-4', 'deeplab-18-16'])
@pytest.mark.parametrize('norm', ['affine', 'train'])
def test_parameters_are_repeated_as_the_published_generator_does(name, norm):
    m = build(name, SimpleNamespace(classes=[*'abc'], mean=[.5]*3, std=[.25]*3), torch.Generator())
    norm_mode(m, norm)
    (lr,body),(head_lr,head) = groups(m, Spec(task='scenes', body_rate='code', lr=.1, head_rate=10.))
    assert (lr, head_lr)==(.1, 1.) and len(head)==len({*head})==8
    assert Counter(id(p) for p in body if p.requires_grad)==Counter(map(id, published(m[1])))
    convs = Counter(Counter(id(p) for p in body if p.ndim==4).values())
    if name=='deeplab-101-4': assert convs=={1: 1, 3: 99, 4: 4}
    plain = groups(m, Spec(task='scenes', lr=.1, head_rate=10.))
    assert {*map(id, plain[0][1])}=={*map(id, body)} and len(plain[0][1])==len({*map(id, body)})

def test_a_training_at_the_codes_rate_is_that_of_repeated_parameters(tmp_path):
    "A plain loop over SGD with the published generator"
    g,toy = torch.Generator().manual_seed(0),SimpleNamespace(classes=[*'abc'], mean=[.5]*3, std=[.25]*3)
    x,y = torch.randint(0, 256, (5, 2, 3, 33, 33), dtype=torch.uint8, generator=g),torch.randint(0, 3, (5, 2, 33, 33), generator=g)
    plain,ours,stated = (norm_mode(build('deeplab-18-4', toy, torch.Generator().manual_seed(7)), 'affine').train() for _ in range(3))
    opt = torch.optim.SGD([dict(params=[*published(plain[1])]), dict(params=plain[1].head.parameters(), lr=.1)],
        lr=.01, momentum=.9, weight_decay=5e-4, foreach=False)
    for m,how in (ours, 'code'),(stated, 'stated'):
        s = Spec(task='scenes', body_rate=how, lr=.01, head_rate=10.)
        o = sgd(s)([ps for _,ps in groups(m, s)], lr=.01).opt
        for group,(lr,_) in zip(o.param_groups, groups(m, s)): group['lr'] = lr
        for a,b in zip(x, y):
            nn.functional.cross_entropy(m(a), b).backward()
            o.step()
            o.zero_grad()
    for a,b in zip(x, y):
        nn.functional.cross_entropy(plain(a), b).backward()
        opt.step()
        opt.zero_grad()
    for (k,p),q in zip(plain.state_dict().items(), ours.state_dict().values()): assert torch.equal(p, q), k
    assert not torch.equal(ours[1].layer3[0].conv1.weight, stated[1].layer3[0].conv1.weight)

def test_its_warning_is_not_shown(recwarn):
    m = build('deeplab-18-4', SimpleNamespace(classes=[*'abc'], mean=[.5]*3, std=[.25]*3), torch.Generator())
    s = Spec(task='scenes', body_rate='code')
    sgd(s)([ps for _,ps in groups(m, s)], lr=.01)
    assert not [o for o in recwarn if 'duplicate' in str(o.message)]

# D2: entropy at polygon level

def test_the_reading_depends_on_the_level():
    assert (Spec(task='scenes').reading, Spec(task='scenes', level='polygon').reading)==('log_c', 'minmax')
    assert Spec(task='voc:x', scale='paper', level='polygon').reading=='minmax'
    assert Spec(task='scenes', level='polygon', reading='log_c').reading=='log_c'
    s = Spec(task='scenes', level='polygon')
    assert (s.aggregate, s.threshold)==('count', .6)

def test_ties_within_images_by_counting():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = rng.integers(1, 30)
        images,scores,bought = rng.integers(0, 5, n),rng.integers(0, 3, n).astype(float),rng.random(n)<.5
        bought[rng.integers(n)] = True
        items = [*zip(images, scores, bought)]
        lots = [any(j==i and t==s and not c for j,t,c in items) for i,s,b in items if b]
        assert tied_within(images, scores, bought)==pytest.approx(np.mean(lots))

# D3: blue first

def test_blue_first_is_a_stem_with_its_channels_turned_round():
    toy = SimpleNamespace(classes=[*'abc'], mean=[.5, .4, .3], std=[.25, .2, .3])
    a,b = [build('deeplab-18-4', toy, torch.Generator().manual_seed(0), coco, channels=o).eval() for o in ('rgb', 'bgr')]
    x = torch.randint(0, 256, (2, 3, 33, 33), dtype=torch.uint8)
    b[1].conv1.weight.data = a[1].conv1.weight.data.flip(1)
    assert torch.allclose(a(x), b(x), atol=1e-4)
    blue_first = x.flip(1).float()-torch.tensor([104.00698793, 116.66876762, 122.67891434])[:,None,None]
    assert torch.allclose(b[0](x), blue_first, atol=1e-4)

# D8, D9: s4GAN

def test_legacy_scales_what_its_loader_gives():
    g = torch.Generator().manual_seed(0)
    x,z = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8, generator=g),torch.randint(0, 99, (3, 3, 8, 8), dtype=torch.uint8, generator=g)
    mean = torch.tensor([122.67891434, 116.66876762, 104.00698793])[:,None,None]
    images,images_gt = x.float()-mean,z.float()-mean
    assert torch.equal(unit_range(x, True, mean=mean), (images-images.min())/(images.max()-images.min()))
    assert torch.equal(unit_range(z, True, x, mean), (images_gt-images_gt.min())/(images.max()-images.min()))
    assert torch.equal(unit_range(x), unit_range(x, mean=0))

def test_self_training_never_begins_in_the_first_iteration():
    for warmup,n,want in (0., 5, [0, 1, 1, 1, 1]),(.4, 5, [0, 0, 1, 1, 1]),(1., 3, [0, 0, 0]),(.33, 3, [0, 1, 1]):
        step = object.__new__(S4GAN)
        step.spec,step.lbl,step.more = SimpleNamespace(st_warmup=warmup, ema=0.),SimpleNamespace(n_iter=n),[]
        assert [step.numbers(i)['begun'] for i in range(n)]==want

def test_images_and_polygons_of_a_sweep_are_one_study():
    from deep_al_illusions.loop.runs import _study
    specs = [Spec(task='scenes', strategy=s, level=o) for s in ('random', 'entropy') for o in ('image', 'polygon')]
    assert len({_study(vars(s), 'data', 'version') for s in specs})==1
    other = Spec(task='scenes', strategy='entropy', level='polygon', reading='log_c')
    assert _study(vars(other), 'data', 'version')!=_study(vars(specs[0]), 'data', 'version')

def test_fine_tuning_is_compared_with_training_from_scratch():
    from deep_al_illusions.loop.runs import _study
    for scale in 'paper', 'pocket':
        a,b = Spec(scale=scale, ssl='uda', task='cifar10'),Spec(scale=scale, task='cifar10', init='imagenet', model='resnet18', augment='strong')
        assert _study(vars(a), 'data', 'version')==_study(vars(b), 'data', 'version')
