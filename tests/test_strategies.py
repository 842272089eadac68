"One contract for every strategy, on random inputs"
from functools import partial

import pytest, torch

from deep_al_illusions.choose.contract import moved,world
from deep_al_illusions.choose.core_set import k_center_greedy
from deep_al_illusions.choose.strategies import Outs,register,strategies,variants
from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import Spec
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.learn.learnloss import LearnLoss
from deep_al_illusions.learn.models import build,predict
from deep_al_illusions.choose.pool import Pool

def gen(seed=0): return torch.Generator().manual_seed(seed)
draws_from_the_pool = {'random'}
ways = {**{k: strategies[k] for k in strategies}, **{' '.join(k): variants[k] for k in variants}}

def test_the_world_has_every_output():
    assert all(torch.is_tensor(o) for o in vars(world(0)[0]).values())
    assert {o for f in ways.values() for o in f.needs}<={*Outs.__dataclass_fields__}
    assert {'ens_ent', 'd_score', 'entropy segmentation'}<={*ways}

def ordered(name, outs, pool, g):
    "The whole order and its scores"
    o = ways[name](outs, pool, g)
    return [*map(int, o)],getattr(o, 'scores', None)

@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('name', ways)
class TestContract:
    def test_every_position_once(self, name, seed):
        outs,pool = world(seed)
        assert sorted(ordered(name, outs, pool, gen())[0]) == list(range(len(pool.unl)))

    def test_same_seed_same_order(self, name, seed):
        outs,pool = world(seed)
        a,b = [ordered(name, outs, pool, gen(3))[0] for _ in range(2)]
        assert a==b

    def test_longer_budget_begins_with_shorter(self, name, seed):
        outs,pool = world(seed)
        a,b = [pool.buy(ways[name](outs, pool, gen(1)), k).lbl for k in (2, 4)]
        assert b[:len(a)]==a

    def test_global_random_state_untouched(self, name, seed):
        outs,pool = world(seed)
        before = torch.get_rng_state()
        ordered(name, outs, pool, gen())
        assert torch.equal(before, torch.get_rng_state())

    def test_permuting_the_pool_permutes_the_choice(self, name, seed):
        if name in draws_from_the_pool: pytest.skip('draws positions, whatever they hold')
        outs,pool = world(seed)
        p = torch.randperm(len(pool.unl), generator=gen(9))
        other = Outs(**{k: moved(k, v, p) for k,v in vars(outs).items()})
        (a,x),(b,y) = [ordered(name, o, pool, gen()) for o in (outs, other)]
        torch.testing.assert_close(torch.as_tensor(x), torch.as_tensor(y))
        score_of = dict(zip(a, map(float, x)))
        assert [score_of[int(p[o])] for o in b]==pytest.approx([score_of[o] for o in a])

    def test_ties_do_not_follow_position(self, name, seed):
        pool = Pool(60)
        votes,flat = torch.zeros(5, 60, dtype=torch.int64),dict.fromkeys(Outs.__dataclass_fields__, torch.zeros(60))
        outs = Outs(**flat|dict(probs=torch.full((60, 3), 1/3), embs=torch.zeros(60, 4), lbl_embs=torch.zeros(0, 4), votes=votes))
        assert ordered(name, outs, pool, gen(seed))[0]!=list(range(60))

    def test_outputs_stay_as_they_are(self, name, seed):
        outs,pool = world(seed)
        same,_ = world(seed)
        ordered(name, outs, pool, gen())
        assert all(torch.equal(getattr(outs, k), getattr(same, k)) for k in vars(outs))

@pytest.mark.parametrize('name', [k for k,f in ways.items() if {*f.needs}-{'votes'}])
def test_scores_that_are_not_finite_are_one_line(name):
    nan = float('nan')
    bad = Outs(**dict.fromkeys(Outs.__dataclass_fields__, torch.full((4, 3), nan))|dict(lbl_embs=torch.zeros(1, 3)))
    for k in 'pred_loss','pixels','ens_pixels','d_score': setattr(bad, k, torch.full((4,), nan))
    with pytest.raises(InputError, match='not finite') as e: ordered(name, bad, Pool(4), gen())
    assert '\n' not in str(e.value)

def test_a_need_that_does_not_exist():
    with pytest.raises(InputError, match="did you mean 'probs'"): register('mine', 'prob')

needs = 'probs embs lbl_embs votes pred_loss'.split()
def model_of(task):
    model = build(Spec().model, task, gen())
    LearnLoss.attach(model, task, gen())
    model(task.x_train[:64])
    return model

def test_scoring_is_in_evaluation_mode_without_augmentation():
    task,ids = load_task('digits'),torch.arange(100, 150)
    model = model_of(task)
    state = {k: v.clone() for k,v in model.state_dict().items()}
    outs,rng = task.outputs(model, Spec(), needs, ids, Pool(1297, [1,2,3]), [model_of(task)]),torch.get_rng_state()
    assert model.training and all(torch.equal(v, state[k]) for k,v in model.state_dict().items()) and torch.equal(rng, torch.get_rng_state())
    norm,net = model.eval()
    with torch.no_grad(): f = net.features(norm(task.x_train[ids]))
    torch.testing.assert_close(outs.embs, f)
    torch.testing.assert_close(outs.probs, net.head(f).softmax(1).detach())
    assert len(outs.lbl_embs)==3 and outs.votes.shape==(2, 50)

def test_scoring_is_independent_of_batch_size_and_order(monkeypatch):
    task,ids = load_task('digits'),torch.arange(100, 150)
    model = model_of(task).eval()
    pool = Pool(1297, [1,2])
    a,c = (task.outputs(model, Spec(), needs, o, pool) for o in (ids, ids.flip(0)))
    for mod in 'loop.purchase','learn.learnloss': monkeypatch.setattr(f'deep_al_illusions.{mod}.predict', partial(predict, bs=7))
    b = task.outputs(model, Spec(), needs, ids, pool)
    for k in needs: torch.testing.assert_close(getattr(a, k), getattr(b, k), rtol=1e-4, atol=1e-5)
    for k in 'probs','embs','pred_loss': torch.testing.assert_close(getattr(a, k), getattr(c, k).flip(0), rtol=1e-4, atol=1e-5)

def test_logits_that_are_not_finite_are_one_line():
    task = load_task('digits')
    model = model_of(task)
    with torch.no_grad(): model[1].head.bias[3] = float('inf')
    with pytest.raises(InputError, match='not finite'): task.outputs(model, Spec(), ['probs'], torch.arange(5))

@pytest.mark.parametrize('seed', range(12))
def test_k_center_greedy_picks_as_brute_force_in_float64(seed):
    g = gen(seed)
    n,m,d = (int(torch.randint(*o, (), generator=g)) for o in ((1, 500), (0, 40), (1, 129)))
    x = (torch.randn(n+m, d, generator=g)*10**torch.empty(()).uniform_(-2, 2, generator=g)).relu()+[0, 1000, -1e5][seed%3]
    x[:n//4] = x[0].clone()
    pool,lbl,k = x[:n].double(),x[n:].double(),min(n, 150)
    dist = (pool-(lbl if m else pool.mean(0, keepdim=True))[:,None]).square().sum(2).amin(0)
    want = []
    for i in range(k):
        want.append(int(dist.argmax()))
        new = (pool-pool[want[-1]]).square().sum(1)
        dist = (new if not i and not m else torch.minimum(dist, new)).index_fill(0, torch.tensor(want), -1)
    got = k_center_greedy(x[:n], x[n:], k).tolist()
    assert len({*got})==k and all(torch.equal(x[a], x[b]) for a,b in zip(got, want))

def test_k_center_greedy_refuses_what_it_cannot_do():
    x = torch.randn(9, 4)
    for args,words in ((x, x, 10), 'cannot pick 10 of 9'),((x, x[:,:2], 2), 'wide'),((x.log(), x, 2), 'not finite'):
        with pytest.raises(InputError, match=words): k_center_greedy(*args)
    assert k_center_greedy(x, x[:0], 0).tolist()==[]
