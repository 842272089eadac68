"Names, weights from files, sizes, and semi-supervised segmentation: resume, scores, awkward settings"
from types import SimpleNamespace

import pytest, torch

from deep_al_illusions.study.basics import digest,InputError
from deep_al_illusions.segment.deeplab import DeepLabv2,evaluate,image_losses,net,norm_mode
from deep_al_illusions.segment.deeplab import pixel_logits,pixel_loss,pixel_probs
from deep_al_illusions.learn.models import build,global_random
from deep_al_illusions.learn.weights import file_weights,load_body
from deep_al_illusions.segment.s4gan import attach,d_score,Discriminator,one_hot,S4GAN,unit_range
from deep_al_illusions.segment.segdata import miou
from deep_al_illusions.learn.batches import Batches
from deep_al_illusions.learn.learner import learner
from deep_al_illusions.learn.train import Bar,Checkpoint

class Toy(SimpleNamespace):
    kind = 'segmentation'
    def loss(self, z, y): return pixel_loss(z, y)
    def augmentation(self, spec): return None
    def crops(self, ids, bs, n_iter, generator, labelled, whole):
        return Batches(self.x_train, self.y_train if labelled else torch.full_like(self.y_train, 255), ids, bs, n_iter, generator)

@pytest.fixture(scope='module')
def toy():
    "Three classes of bright rectangles, 33 x 33"
    g = torch.Generator().manual_seed(0)
    x,y = torch.randint(0, 90, (24, 3, 33, 33), generator=g).byte(),torch.zeros(24, 33, 33, dtype=torch.int64)
    for i in range(24):
        x[i,i%2,8:24,6+i%5:20] += 150
        y[i,8:24,6+i%5:20] = 1+i%2
    y[:,0] = 255
    return Toy(classes=list('abc'), mean=[.4]*3, std=[.2]*3, metric=miou, x_train=x, y_train=y, x_test=x[:6], y_test=y[:6])

def seeded(o): return torch.Generator().manual_seed(sum(map(ord, o)))

base = dict(lr=.03, ll_lr=0., lr_min=0., warmup=0., schedule='poly', momentum=.9, nesterov=False, wd=5e-4, device='cpu', head_rate=None, ema=0., warmup_form='before', body_rate='stated')
gan = dict(bs_unl=3, unlabelled='rest', confidence=.5, fm_weight=.1, st_weight=1., st_warmup=.2, d_lr=1e-3, legacy=False, control=False)

def fit(toy, root, die=False, n=6, lbl=6, norm='train', precision='fp32', **kw):
    "Model and rows of a training that saves itself after every iteration; `die` kills it in the fourth"
    spec = SimpleNamespace(**base|dict(precision=precision)|gan|kw)
    batches = Batches(toy.x_train, toy.y_train, torch.arange(lbl), 4, n, seeded('lbl'))
    m = norm_mode(build('deeplab-18-16', toy, seeded('weights')), norm)
    attach(m, toy, seeded('disc'))
    step,bar = S4GAN(toy, spec, batches, seeded),Bar(batches, '')
    if die: bar.after_batch = lambda: batches.i==4 and stop()
    with global_random(seeded('global')): learner(m, step, [Checkpoint(root/'a.ckpt', batches, 0), bar]).fit(1)
    return m,step.rows

def stop(): raise KeyboardInterrupt

def weights(m): return digest(*m.state_dict().values())

@pytest.mark.parametrize('name', 'deeplab deeplab-18-x deeplab-18-16-three xdeeplab-101 deeplab-20 deeplab-18-2 deeplab-18-0 deeplab-101-9999'.split())
def test_bad_names(name):
    with pytest.raises(InputError) as e: net(name, 3)
    assert '\n' not in str(e.value)

@pytest.mark.parametrize('name', 'deeplab-18-8 deeplab-34-8-two deeplab-50-4'.split())
def test_sizes_of_a_name(name):
    m = net(name, 5)
    assert len(m.head)==(2 if 'two' in name else 4) and len(m.stages)==4
    for h,w in (9, 9),(17, 40),(65, 64): assert m.eval()(torch.zeros(1, 3, h, w)).shape==(1, 5, h, w)

def test_output_stride_is_8():
    for n in 65,321: assert DeepLabv2(3, 18, 4).features(torch.zeros(1, 3, n, n)).shape[-1]==n//8+1

@pytest.mark.parametrize('what', 'text empty cut object list other missing folder legacy_cut'.split())
def test_bad_weights(what, tmp_path):
    p,m = tmp_path/'w.pth',net('deeplab-18-4', 3)
    sd = {f'Scale.{k.replace("head.", "layer5.conv2d_list.")}': v for k,v in m.state_dict().items()}
    if what in ('text', 'empty'): p.write_bytes(b'no weights' if what=='text' else b'')
    elif what=='folder': p.mkdir()
    elif what=='other': torch.save(torch.nn.Linear(2, 2).state_dict(), p)
    elif what=='object': torch.save(m, p)
    elif what=='list': torch.save([1, 2], p)
    elif what!='missing':
        torch.save(sd, p, _use_new_zipfile_serialization=what=='cut')
        p.write_bytes(p.read_bytes()[:-5000])
    with pytest.raises(InputError) as e: load_body(net('deeplab-18-4', 3), file_weights(p), p)
    assert '\n' not in str(e.value) and 'init' in str(e.value)

def test_weights_of_another_size_and_an_old_file(tmp_path):
    m,p = net('deeplab-18-4', 3),tmp_path/'w.pth'
    torch.save({k.replace('head.', 'layer5.conv2d_list.'): v for k,v in m.state_dict().items() if 'num_batches' not in k}, p, _use_new_zipfile_serialization=False)
    new,other = net('deeplab-18-4-two', 3),net('deeplab-18-4', 4)
    for o in new,other:
        load_body(o, file_weights(p), p)
        assert torch.equal(o.layer4[1].conv2.weight, m.layer4[1].conv2.weight)
    assert torch.equal(new.head[1].weight, m.head[1].weight)
    with pytest.raises(InputError, match='another network'): load_body(net('deeplab-18-8', 3), file_weights(p), p)

def test_a_head_of_our_own_training_stays_behind(tmp_path):
    m,new,p = net('deeplab-18-4', 3),net('deeplab-18-4', 3),tmp_path/'w.pth'
    torch.save(m.state_dict(), p)
    load_body(new, file_weights(p), p)
    assert torch.equal(new.layer4[1].conv2.weight, m.layer4[1].conv2.weight) and not torch.equal(new.head[0].weight, m.head[0].weight)

def test_norm_modes():
    with pytest.raises(InputError, match="unknown batch normalisation 'frozen'"): norm_mode(net('deeplab-18-4', 3), 'frozen')
    m = torch.nn.Sequential(norm_mode(net('deeplab-18-4', 3), 'eval')).train()
    assert m[0].training and m[0].layer1.training and not any(o.training for o in m.modules() if isinstance(o, torch.nn.BatchNorm2d))
    assert norm_mode(m, 'train')[0].bn1.training and m[0].bn1.weight.requires_grad

def test_no_label_no_loss():
    z,y = torch.randn(2, 3, 4, 4, requires_grad=True),torch.full((2, 4, 4), 255)
    pixel_loss(z, y).backward()
    assert pixel_loss(z, y)==0 and not z.grad.any() and image_losses(z, y).isnan().all()

def test_streams_restore_the_mode(toy):
    m = build('deeplab-18-16', toy, seeded('a')).train()
    stats = weights(m)
    next(iter(pixel_logits(m, toy.x_test)))
    assert m.training and weights(m)==stats
    assert [i.tolist() for i,_ in pixel_probs(m, toy.x_test, [4, 1, 0], most=2)]==[[4, 1], [0]]
    assert all(torch.allclose(p.sum(1), torch.ones(())) for _,p in pixel_probs(m, toy.x_test))
    a,b = evaluate(m, toy),evaluate(m, toy, 'bf16')
    assert abs(a[1]-b[1])<.05 and a[0]<=1

# chkstyle: ignore-node
kinds = dict(plain={}, legacy=dict(legacy=True, st_warmup=0., unlabelled='all'), control=dict(control=True), one=dict(lbl=1, bs_unl=1),
    code=dict(body_rate='code', norm='affine', head_rate=10., lr=.003), none_left=dict(lbl=24), affine=dict(norm='affine'), frozen=dict(norm='eval'), half=dict(precision='bf16'))

@pytest.mark.parametrize('kind', kinds)
def test_killed_s4gan_equals_uninterrupted(kind, toy, tmp_path):
    for o in 'ab': (tmp_path/o).mkdir()
    m,rows = fit(toy, tmp_path/'a', **kinds[kind])
    with pytest.raises(KeyboardInterrupt): fit(toy, tmp_path/'b', die=True, **kinds[kind])
    again,same = fit(toy, tmp_path/'b', **kinds[kind])
    assert weights(m)==weights(again) and str(rows)==str(same)
    assert all(o.isfinite().all() for o in m.state_dict().values())
    if kind=='control': assert not rows
    else: assert rows[-1]['iteration']==len(rows)==6 and all(0<=o[k]<=1 for o in rows for k in ('d_real', 'd_fake', 'selected'))

def test_settings_matter(toy, tmp_path):
    def go(i, **kw):
        (tmp_path/str(i)).mkdir()
        return weights(fit(toy, tmp_path/str(i), **kw)[0])
    kws = [{}, dict(legacy=True), dict(fm_weight=0.), dict(st_weight=0.), dict(confidence=.45), dict(st_warmup=1.), dict(d_lr=1e-4), dict(control=True)]
    found = [go(i, n=4, **o) for i,o in enumerate(kws)]
    assert len({*found})==len(kws)-1 and found[3]==found[5]

def test_twenty_rows(toy, tmp_path):
    rows = fit(toy, tmp_path, n=25)[1]
    assert len(rows)==20 and rows[-1]['iteration']==25
    assert all(o['loss_st']==0 for o in rows if o['iteration']<6) and any(o['loss_st']>0 for o in rows)

def test_d_score_depends_on_one_image_alone():
    d,g = Discriminator(4, 8),seeded('x')
    p,x = torch.rand(6, 4, 40, 50, generator=g).softmax(1),torch.randint(0, 256, (6, 3, 40, 50), generator=g, dtype=torch.uint8)
    s = d_score(d, p, x)
    assert d.training and s.shape==(6,) and ((0<s)&(s<1)).all() and not s.requires_grad
    order = torch.tensor([3, 1, 5])
    assert torch.allclose(d_score(d, p[order], x[order]), s[order], atol=1e-6)
    assert torch.allclose(d_score(d, p[:1], x[:1]), s[:1], atol=1e-6)
    assert torch.equal(d_score(d, p, x), s)
    assert torch.allclose(d_score(d, p, x.float()/2+20), s, atol=1e-5)
    assert d_score(d, p[...,:16,:16], x[...,:16,:16]).shape==(6,)

def test_flat_images_and_void():
    assert unit_range(torch.full((2, 3, 4, 4), 7, dtype=torch.uint8)).eq(0).all()
    assert not one_hot(torch.full((1, 2, 2), 255), 5).any()

def test_first_discriminator_comes_from_the_generator(toy):
    m,n = [build('deeplab-18-16', toy, seeded('a')) for _ in range(2)]
    before = torch.get_rng_state()
    for o in m,n: attach(o, toy, seeded('d'))
    assert weights(m)==weights(n) and torch.equal(torch.get_rng_state(), before)
    assert m[1].disc.fc.in_features==8*16
