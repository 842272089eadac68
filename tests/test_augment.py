"Augmentation against PIL, NumPy and the published probabilities; what every augmentation keeps"
from collections import Counter
from types import SimpleNamespace

import numpy as np, pytest, torch, torchvision.transforms.functional as TF
from PIL import Image
from torchvision.transforms.autoaugment import _apply_op

from deep_al_illusions.tasks.geometry import Cutout,RandomCrop,RandomFlip
from deep_al_illusions.tasks.policies import AutoAugment,magnitude,RandAugment
from deep_al_illusions.tasks.augment import augments,Chain,strong,weak
from deep_al_illusions.study.basics import InputError
from deep_al_illusions.tasks.named import load_task

def gen(seed=0): return torch.Generator().manual_seed(seed)
def noise(b, h=32, w=32): return torch.randint(0, 256, (b, 3, h, w), dtype=torch.uint8, generator=gen(b))
def task(*breaks): return SimpleNamespace(breaks=breaks)
names = dict(autocontrast='AutoContrast', shearx='ShearX', sheary='ShearY', translatex='TranslateX', translatey='TranslateY')
every = [AutoAugment(), RandAugment(), Cutout(), RandomCrop(), RandomCrop(mode='zero'), RandomFlip()]
by_name = pytest.mark.parametrize('aug', every, ids=str)

def images(h, w):
    "Noise, bright, dark and narrow noise, constants, gradients, two values, one odd pixel"
    x,ramp = noise(14, h, w),torch.linspace(0, 255, w).expand(h, w)
    x[1],x[2],x[3] = x[1]//3+170,x[2]//5,x[3]//16+100
    for i,v in enumerate((0, 1, 127, 255)): x[4+i] = v
    x[8],x[9],x[10] = ramp.byte(),ramp.flip(1).byte(),torch.linspace(30, 200, h)[:,None].byte()
    x[11],x[12] = x[11]//128*90+10,77
    x[12,:,h//2,w//3],x[13,1] = 78,5
    return x

def pil(x): return [Image.fromarray(o) for o in x.permute(0, 2, 3, 1).contiguous().numpy()]

@pytest.mark.parametrize('size', [(32,32), (16,32), (32,16), (8,8), (33,47), (224,224)], ids=str)
@pytest.mark.parametrize('aug', [AutoAugment(fill=37), *(RandAugment(magnitude=m) for m in (0, 9, 30))], ids=str)
def test_every_action_equals_pil(aug, size):
    x = images(*size)
    for i,(op,k,s) in enumerate(aug.acts):
        args = names.get(op, op.capitalize()),s*magnitude(op, k, aug.bins, size),TF.InterpolationMode.NEAREST,[aug.fill]*3
        theirs = np.stack([np.array(_apply_op(o, *args)) for o in pil(x)])
        for dense in (False, True):
            ours = aug.apply(x, torch.full((len(x),1), i), dense)
            assert np.array_equal(ours.permute(0, 2, 3, 1).numpy(), theirs),(op, k, s, dense)

def test_pairs_of_actions_are_drawn_as_published():
    "Joint frequencies of both steps, each within 5 standard errors"
    aug,n,want = AutoAugment(),200_000,Counter()
    for ids,p in zip(aug.ids.tolist(), aug.p.double().tolist()):
        for a in ids[0]+[0]:
            for b in ids[1]+[0]: want[a,b] += (p[0]/2 if a else 1-p[0])*(p[1]/2 if b else 1-p[1])/25
    assert sum(want.values())==pytest.approx(1)
    got = Counter(map(tuple, aug.draw((n,), gen()).tolist()))
    assert not {*got}-{*want}
    for o,p in want.items(): assert abs(got[o]-n*p)<=5*(n*p*(1-p))**.5+1e-9,o

def test_randaugment_draws_evenly():
    aug,n = RandAugment(),100_000
    ops = Counter(aug.acts[i][0] for i in aug.draw((n,), gen()).flatten().tolist())
    signs = Counter(aug.acts[i][2] for i in aug.draw((n,), gen(1)).flatten().tolist() if aug.acts[i][0]=='rotate')
    assert len(ops)==14 and all(abs(o-2*n/14)<5*(2*n/14*13/14)**.5 for o in ops.values())
    assert abs(signs[1]-signs[-1])<5*sum(signs.values())**.5

def test_crop_shifts_and_cutout_centres_are_uniform():
    n = 81_000
    for aug,k in (RandomCrop(), 81),(Cutout(), 64):
        d = Counter(map(tuple, aug.draw((n,3,32,32) if k==81 else (n,3,8,8), gen()).tolist()))
        assert len(d)==k and all(abs(o-n/k)<5*(n/k)**.5 for o in d.values())

@pytest.mark.parametrize('k', [1, 7, 16, 40])
def test_cutout_is_a_clipped_square(k):
    aug,x = Cutout(k),torch.full((200,3,32,24), 9, dtype=torch.uint8)
    d = aug.draw(x.shape, gen())
    for y,(r,c) in zip(aug.apply(x, d), d.tolist()):
        want = np.full((3,32,24), 9)
        want[:,max(r-k//2, 0):r-k//2+k,max(c-k//2, 0):c-k//2+k] = 0
        assert np.array_equal(y.numpy(), want)

@by_name
class TestEveryAugmentation:
    def test_each_sample_has_a_draw_of_its_own(self, aug):
        x = noise(1).expand(200, -1, -1, -1)
        d = aug.draw(x.shape, gen())
        y = aug.apply(x, d)
        assert len(y.flatten(1).unique(dim=0))>1
        for i in range(40): assert torch.equal(y[i], aug.apply(noise(1), d[i:i+1])[0])

    def test_seed_decides_and_nothing_else_is_touched(self, aug):
        x,state = noise(50),torch.get_rng_state()
        before = x.clone()
        assert torch.equal(aug(x, gen(1)), aug(x, gen(1))) and not torch.equal(aug(x, gen(1)), aug(x, gen(2)))
        assert torch.equal(x, before) and torch.equal(state, torch.get_rng_state())

    @pytest.mark.parametrize('shape', [(0,32,32), (1,32,32), (5,16,32), (5,8,8), (3,224,224)], ids=str)
    def test_any_batch_and_size(self, aug, shape):
        b,h,w = shape
        y = aug(noise(b, h, w), gen())
        assert y.shape==(b,3,h,w) and y.dtype==torch.uint8

    def test_memory_layout_does_not_matter(self, aug):
        x = noise(20)
        for o in x.to(memory_format=torch.channels_last),x.repeat_interleave(2, 3)[...,::2]:
            assert torch.equal(aug(o, gen()), aug(x, gen()))

    @pytest.mark.parametrize('x', [noise(2).float(), noise(2)[0], noise(2)[:,:1], noise(2).numpy()], ids=['float', '3-D', 'grey', 'numpy'])
    def test_wrong_input_is_one_line(self, aug, x):
        with pytest.raises(InputError, match='^augmentation takes uint8 tensors.*$'): aug(x, gen())

def test_only_tasks_that_allow_it_are_flipped():
    x = torch.zeros(300, 3, 16, 16, dtype=torch.uint8)
    x[...,:5] = 200
    right = lambda y: (y[...,8:].int().sum((1, 2, 3))>y[...,:8].int().sum((1, 2, 3))).sum()
    assert right(weak(task())(x, gen()))>100 and right(weak(load_task('digits'))(x, gen()))==0
    assert not any(isinstance(o, RandomFlip) for o in strong(load_task('digit_pairs')))

def test_breaks_leave_out_what_they_name():
    assert [type(o) for o in strong(task())]==[AutoAugment, Cutout, RandomCrop, RandomFlip]
    assert [type(o) for o in weak(task('Crop', 'rotate'))]==[RandomFlip] and weak(task('flip', 'crop'))==[]
    a,b = AutoAugment(),AutoAugment(skip=('Shear', 'translate_x', 'INVERT'))
    gone = {'shearx','sheary','translatex','invert'}
    assert {o[0] for o in a.acts}-{o[0] for o in b.acts}==gone-{'shearx'}
    for i,j in zip(a.draw((500,), gen()).flatten().tolist(), b.draw((500,), gen()).flatten().tolist()):
        assert b.acts[j]==(('identity',0,1) if a.acts[i][0] in gone else a.acts[i])

def test_mistakes_are_one_line():
    calls = [lambda: weak(task('mirror')), lambda: strong(task('mirror')), lambda: AutoAugment(skip=('mirror',)), lambda: augments['weka'],
        lambda: RandomCrop(mode='wrap'), lambda: RandomCrop(32)(noise(1), gen()), lambda: RandAugment(magnitude=31)]
    for f in calls:
        with pytest.raises(InputError, match='^[^\n]+$'): f()
    assert augments['none'](task('mirror'))==Chain()
