"Every way of training: kill and resume, shared trainings, awkward sizes, transfer"
import json
from dataclasses import asdict, replace

import numpy as np, pandas as pd, pytest, torch

from deep_al_illusions.choose.strategies import strategies
from deep_al_illusions.study.basics import digest,InputError
from deep_al_illusions.study.spec import generator,Spec
from deep_al_illusions.tasks.data import Task
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.loop.purchase import check
from deep_al_illusions.loop.loop import run
from deep_al_illusions.loop.runs import load_notes
from deep_al_illusions.learn.models import build,models,ResNet18,WideResNet
from deep_al_illusions.choose.pool import Pool
from deep_al_illusions.learn.batches import Batches
from deep_al_illusions.learn.step import regimes
from deep_al_illusions.learn.train import Bar,train,training_key

quiet = dict(say=lambda o: None)
small = dict(iterations=6, bs=8, bs_unl=16)

def weights(model): return digest(*model.state_dict().values())

# chkstyle: ignore-node
kinds = {
    'strong': (dict(augment='strong', iterations=12, bs=8), []),
    'uda': (dict(ssl='uda', ema=.9, iterations=12, bs=8, bs_unl=16), []),
    'joint': (dict(ssl='uda', bn='joint', tsa='log', augment='strong', unlabelled='all', iterations=12, bs=8, bs_unl=16), ['pred_loss'])}

@pytest.mark.parametrize('fast', ['off', 'auto'])
@pytest.mark.parametrize('kind', kinds)
def test_killed_in_the_middle_equals_uninterrupted(kind, fast, tmp_path, monkeypatch):
    monkeypatch.setenv('DAL_FAST', fast)
    (kw,extra),task = kinds[kind],load_task('digits')
    go = lambda root: train(task, Spec(**kw), range(20), root=tmp_path/root, extra=extra)
    model,res = go('a')
    monkeypatch.setenv('DAL_CHECKPOINT_S', '0')
    plain = Bar.after_batch
    def die(self):
        if self.batches.i>=7: raise KeyboardInterrupt
    monkeypatch.setattr(Bar, 'after_batch', die)
    with pytest.raises(KeyboardInterrupt): go('b')
    assert len([*(tmp_path/'b').glob('*.ckpt')])==1
    monkeypatch.setattr(Bar, 'after_batch', plain)
    again,same = go('b')
    assert weights(model)==weights(again) and res['score']==same['score'] and str(res['diagnostics'])==str(same['diagnostics'])

@pytest.mark.parametrize('strategy', [k for k in strategies if not {*strategies[k].needs}&{'ens_pixels', 'd_score'}])
def test_every_strategy_runs_semi_supervised(strategy, runs):
    folder = run(Spec(strategy=strategy, ssl='uda', cycles=1, members=2, **small), **quiet)
    assert len(pd.read_csv(folder/'cycles.csv'))==2
    d = pd.read_csv(folder/'diagnostics.csv')
    assert {*d.cycle}=={0, 1} and d.mask_rate.between(0, 1).all() and 'mask_rate_9' in d
    assert 9/40<pd.read_csv(folder/'audit.csv').by_chance.item()<.35
    assert len(load_notes(runs, 'audit'))==1

def test_member_0_of_an_ensemble_is_the_single_model(runs):
    kw = dict(cycles=1, iterations=30)
    a = run(Spec(strategy='random', **kw), **quiet)
    n = len([*runs.glob('trainings/*.pt')])
    b = run(Spec(strategy='ens_varr', members=3, **kw), **quiet)
    assert n==2 and len([*runs.glob('trainings/*.pt')])==n+2+1
    one,two = [pd.read_csv(o/'cycles.csv') for o in (a, b)]
    assert one.score[0]==two.score[0] and two.train_s[0]>one.train_s[0] and two.train_s[1]<two.train_s[0]

def test_no_training_starts_from_the_one_before(tmp_path):
    spec = Spec(strategy='entropy', cycles=1, iterations=5)
    folder = run(spec, tmp_path/'a', **quiet)
    with np.load(folder/'picks.npz') as z: ids = z['ids'].tolist()
    _,res = train(load_task('digits'), spec, ids, 1, root=tmp_path/'fresh')
    assert res['score']==pd.read_csv(folder/'cycles.csv').score[1]

def test_the_loss_module_is_new_in_every_training(tmp_path):
    task = load_task('digits')
    a,b = [train(task, Spec(iterations=1, ll_lr=0.), range(20), c, root=tmp_path, extra=['pred_loss'])[0][1].loss_net.out.weight for c in (0, 1)]
    assert not torch.equal(a, b)

# chkstyle: ignore-node
awkward = {
    'one label': dict(initial=1, per_cycle=1),
    'odd batch': dict(initial=7, per_cycle=4),
    'pool below the batch': dict(bs=64, bs_unl=5000),
    'everything labelled in the end': dict(initial=40, per_cycle=40)}

@pytest.mark.filterwarnings('ignore:.*first labels over')
@pytest.mark.parametrize('ssl', ['none', 'uda'])
@pytest.mark.parametrize('strategy', ['learn_loss', 'core_set', 'ens_varr'])
@pytest.mark.parametrize('case', awkward)
def test_awkward_sizes(case, strategy, ssl, runs, tmp_path, arrays):
    np.savez(tmp_path/'a.npz', **arrays)
    kw = awkward[case]|dict(cycles=1, iterations=2, members=2)
    if ssl=='none': kw.pop('bs_unl', None)
    folder = run(Spec(task=f'npz:{tmp_path}/a.npz', strategy=strategy, ssl=ssl, **kw), **quiet)
    assert pd.read_csv(folder/'cycles.csv').score.between(0, 1).all()

def test_uda_leaves_the_labelled_out_of_the_pool_unless_asked():
    task,purpose = load_task('digits'),lambda o: generator(Spec(), o)
    lbl = Batches(task.x_train, task.y_train, torch.arange(20), 8, 6, purpose('batches'))
    ids = {o: regimes['uda'](task, Spec(ssl='uda', unlabelled=o), lbl, purpose).streams['unl'].ids.tolist() for o in ('rest', 'all')}
    assert ids['rest']==[*range(20, 1297)] and ids['all']==[*range(1297)]

def test_batch_normalisation_has_the_usual_momentum_everywhere():
    nets = WideResNet(28, 2),ResNet18()
    assert {m.momentum for net in nets for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)}=={.1}

def test_settings_of_uda_do_not_touch_other_trainings():
    task = load_task('digits')
    with pytest.raises(InputError, match='has no meaning without ssl=uda'): Spec(bn='joint')
    assert training_key(task, Spec(ll_stop=.1), [1])==training_key(task, Spec(), [1])
    assert training_key(task, Spec(ssl='uda', confidence=.7), [1])!=training_key(task, Spec(ssl='uda'), [1])

@pytest.mark.parametrize('strategy', ['random', 'entropy', 'core_set'])
def test_a_subset_is_all_that_is_ranked(strategy, runs):
    spec = Spec(strategy=strategy, cycles=2, per_cycle=5, subset=8, iterations=2)
    with np.load(run(spec, **quiet)/'picks.npz') as z: ids = z['ids'].tolist()
    for c in 0,1:
        unl = Pool(1297, ids[:20+5*c]).unl
        seen = unl[torch.randperm(len(unl), generator=generator(spec, 'subset', c))[:8]].tolist()
        assert {*ids[20+5*c:25+5*c]}<={*seen}
    with pytest.raises(InputError, match='subset 4 is smaller'): check(Spec(per_cycle=5, subset=4))

def test_an_operation_that_does_not_exist_is_named():
    x,y = torch.zeros(8, 3, 8, 8, dtype=torch.uint8),torch.arange(8)%2
    task = Task('mine', ['a', 'b'], x, y, x, y, breaks=('rotat',))
    with pytest.raises(InputError, match="did you mean 'rotate'"): check(Spec(initial=2, per_cycle=1, cycles=1, augment='strong'), task)

def test_transfer_from_a_file_and_from_a_task(runs, tmp_path, arrays):
    np.savez(tmp_path/'a.npz', **arrays)
    body = WideResNet(10, 1, 7)
    torch.save(body.state_dict(), tmp_path/'w.pt')
    kw = dict(initial=8, per_cycle=4, cycles=0, iterations=1, lr=0.)
    task = load_task(f'npz:{tmp_path}/a.npz')
    model,_ = train(task, Spec(init=str(tmp_path/'w.pt'), **kw), range(8), root=tmp_path/'t')
    assert torch.equal(model[1].stem.weight, body.stem.weight) and model[1].head.out_features==4
    folder = run(Spec(task=f'npz:{tmp_path}/a.npz', init=f'npz:{tmp_path}/a.npz', **kw), **quiet)
    assert json.loads((folder/'spec.json').read_text())['init'].startswith('npz:') and len([*runs.glob('trainings/*.pt')])==2

def test_imagenet_weights(runs, tmp_path, monkeypatch):
    spec = Spec(model='resnet18@32', init='imagenet', initial=10, per_cycle=4, cycles=1, iterations=1, strategy='learn_loss')
    def no_network(*args, **kw): raise OSError('no route')
    monkeypatch.setattr('torch.hub.download_url_to_file', no_network)
    with pytest.raises(InputError, match='put resnet18-f37072fd.pth from https'): check(spec)
    assert not (tmp_path/'data').exists()
    net = ResNet18(1000)
    (tmp_path/'data').mkdir()
    torch.save(net.state_dict(), tmp_path/'data/resnet18-f37072fd.pth')
    model,_ = train(load_task('digits'), spec, range(10), extra=['pred_loss'])
    assert len(model[1].loss_net.layers)==4 and tuple(model[0].mean.flatten().tolist())==pytest.approx((123.675, 116.28, 103.53))
    with pytest.raises(InputError, match='another network'): check(Spec(init='imagenet'))

def test_a_network_without_stages_cannot_predict_losses(monkeypatch):
    class Flat(torch.nn.Module):
        def __init__(self, n):
            super().__init__()
            self.head = torch.nn.Linear(768, n)
        def features(self, x): return x.flatten(1)
        def forward(self, x): return self.head(self.features(x))
    monkeypatch.setitem(models, 'flat', Flat)
    build('flat', load_task('digits'), torch.Generator())
    with pytest.raises(InputError, match='taps the stages'): check(Spec(model='flat', strategy='learn_loss'))

def test_the_loss_module_learns_beside_training_signal_annealing(tmp_path):
    spec = Spec(ssl='uda', tsa='linear', wd=0., warmup=0., **small)
    before,after = (train(load_task('digits'), replace(spec, ll_lr=o), range(20), root=tmp_path, extra=['pred_loss'])[0][1].loss_net for o in (0., .03))
    assert not torch.equal(before.out.weight, after.out.weight)

def test_weights_from_elsewhere_pass_the_check_of_learn_loss(tmp_path):
    torch.save({k: v for k,v in WideResNet(10, 1).state_dict().items() if 'num_batches' not in k}, tmp_path/'w.pt')
    check(Spec(strategy='learn_loss', init=str(tmp_path/'w.pt')))

def test_weights_that_changed_are_not_taken_for_the_old(runs, tmp_path):
    spec = Spec(init=str(tmp_path/'w.pt'), cycles=0, iterations=1)
    for i in range(2):
        torch.save(WideResNet(10, 1).state_dict(), tmp_path/'w.pt')
        if i:
            with pytest.raises(InputError, match='has changed since'): run(spec, **quiet)
        else: run(spec, **quiet)

def test_the_scale_of_the_pre_training_is_in_the_key():
    task,kw = load_task('digits'),asdict(Spec(init='letters'))
    assert training_key(task, Spec(**kw), [1])!=training_key(task, Spec(**kw|dict(scale='paper')), [1])

def test_an_average_forgets_the_random_start(tmp_path):
    _,res = train(load_task('digits'), Spec(ema=.999, iterations=100), range(200), root=tmp_path)
    assert res['score']>.5

@pytest.mark.parametrize('subset', [0, 9])
def test_a_strategy_that_returns_ids_is_told_so(subset, runs, monkeypatch):
    def by_id(outs, pool, generator):
        assert len(pool)==20
        return pool.unl.flip(0)
    monkeypatch.setitem(strategies, 'by_id', by_id)
    with pytest.raises(ValueError, match='is outside the'): run(Spec(strategy='by_id', subset=subset, per_cycle=2, cycles=1, iterations=1), **quiet)
