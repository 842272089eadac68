"One contract for every strategy, on random inputs"
import pytest, torch

from deep_al_illusions.acquire import Outs, strategies
from deep_al_illusions.core import InputError, Spec
from deep_al_illusions.data import load_task
from deep_al_illusions.loop import outputs
from deep_al_illusions.models import build
from deep_al_illusions.pool import Pool

def gen(seed=0): return torch.Generator().manual_seed(seed)
draws_from_the_pool = {'random'}

def world(seed):
    "Random outputs for a random pool, a third of them tied"
    g = gen(seed)
    n = int(torch.randint(5, 200, (), generator=g))
    pool = Pool(n, torch.randperm(n, generator=g)[:n//4].tolist())
    k = len(pool.unl)
    z = torch.randn(k, 7, generator=g)*10**torch.empty(k, 1).uniform_(-2, 3, generator=g)
    z[:k//3] = z[0]
    return Outs(probs=z.softmax(1), embs=torch.randn(k, 16, generator=g)),pool

@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('name', [*strategies])
class TestContract:
    def test_every_position_once(self, name, seed):
        outs,pool = world(seed)
        assert sorted(map(int, strategies[name](outs, pool, gen()))) == list(range(len(pool.unl)))

    def test_same_seed_same_order(self, name, seed):
        outs,pool = world(seed)
        a,b = [[*map(int, strategies[name](outs, pool, gen(3)))] for _ in range(2)]
        assert a==b

    def test_longer_budget_begins_with_shorter(self, name, seed):
        outs,pool = world(seed)
        a,b = [pool.buy(strategies[name](outs, pool, gen(1)), k).lbl for k in (2, 4)]
        assert b[:len(a)]==a

    def test_global_random_state_untouched(self, name, seed):
        outs,pool = world(seed)
        before = torch.get_rng_state()
        [*strategies[name](outs, pool, gen())]
        assert torch.equal(before, torch.get_rng_state())

    def test_permuting_the_pool_permutes_the_choice(self, name, seed):
        if name in draws_from_the_pool: pytest.skip('draws positions, whatever they hold')
        outs,pool = world(seed)
        p = torch.randperm(len(pool.unl), generator=gen(9))
        a = strategies[name](outs, pool, gen())
        b = strategies[name](Outs(probs=outs.probs[p], embs=outs.embs[p]), pool, gen())
        torch.testing.assert_close(torch.as_tensor(a.scores), torch.as_tensor(b.scores))
        score_of = dict(zip(a, map(float, a.scores)))
        assert [score_of[int(p[o])] for o in b]==pytest.approx(list(score_of.values()))

    def test_ties_do_not_follow_position(self, name, seed):
        pool = Pool(60)
        outs = Outs(probs=torch.full((60, 3), 1/3), embs=torch.zeros(60, 4))
        assert [*map(int, strategies[name](outs, pool, gen(seed)))]!=list(range(60))

@pytest.mark.parametrize('name', [n for n in strategies if strategies[n].needs])
def test_scores_that_are_not_finite_are_one_line(name):
    bad = Outs(probs=torch.full((4, 3), float('nan')), embs=torch.full((4, 2), float('nan')))
    with pytest.raises(InputError, match='not finite'): [*strategies[name](bad, Pool(4), gen())]

def test_scoring_is_in_evaluation_mode_and_independent_of_the_batch_size():
    task,ids = load_task('digits'),torch.arange(100, 150)
    model = build(Spec().model, task, gen())
    model(task.x_train[:64])
    state = {k: v.clone() for k,v in model.state_dict().items()}
    a,b = outputs(model, task, ids, ('probs', 'embs')),outputs(model, task, ids.flip(0), ('probs', 'embs'))
    torch.testing.assert_close(a.probs, b.probs.flip(0))
    assert model.training and all(torch.equal(v, state[k]) for k,v in model.state_dict().items())
