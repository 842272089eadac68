"The statistics on data with a known answer, the pairing of trials, and the logic of the verdicts"
from dataclasses import asdict

import numpy as np, pandas as pd, pytest
from scipy import stats

from deep_al_illusions.judge.intervals import judge
from deep_al_illusions.judge.sides import pairs_of,samples
from deep_al_illusions.judge.claims import claims,verdicts
from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import Spec
from deep_al_illusions.judge.power import detectable,trials_needed
from deep_al_illusions.judge.stats import compare
from deep_al_illusions.judge.ranks import kendall_w,penalties,ranks
from deep_al_illusions.judge.efficiency import efficiency

n_sim = 2000

def experiments(trials, strategies=('a',), budgets=(20, 40), lead=0., sd=.01, n=n_sim, seed=0):
    "A table of `n` studies: effects of the trial and of each training; `lead` by strategy, or for the first strategy alone, after the first budget"
    rng = np.random.default_rng(seed)
    names,grid = ('random', *strategies),np.arange(len(budgets))
    leads = np.array([0, *(lead if np.ndim(lead) else [lead]+[0]*(len(strategies)-1))])
    x = .6+.03*grid+.03*rng.normal(size=(n, 1, trials, 1))+sd/2**.5*rng.normal(size=(n, len(names), trials, len(budgets)))+leads[:,None,None]*(grid>0)
    i = np.indices(x.shape).reshape(4, -1)
    return pd.DataFrame(dict(study=i[0], strategy=np.array(names)[i[1]], trial=i[2]+1, units=np.array(budgets)[i[3]], score=x.ravel()))

def table(**lines):
    "Trainings of three trials: name=[scores by trial], at 20 labels all alike and at 40 as given"
    rows = [(s, t, u, x if u==40 else .5) for s,xs in lines.items() for t,x in enumerate(xs, 1) for u in (20, 40)]
    return pd.DataFrame(rows, columns=['strategy', 'trial', 'units', 'score'])

# coverage, power, false alarms
@pytest.mark.parametrize('trials', [3, 5, 10])
def test_intervals_cover_the_truth(trials):
    r = compare(experiments(trials, lead=.02))
    for at,truth in (20, 0), (40, 2), ('area', 1):
        o = r[r['at']==at]
        assert len(o)==n_sim and .93<=((o.lo<truth)&(truth<o.hi)).mean()<=.97

@pytest.mark.parametrize('trials,k', [(3, 1), (5, 1), (10, 1), (3, 4), (5, 4)])
def test_the_detectable_difference_is_detected(trials, k):
    truth = detectable(1., trials, .05/k)
    r = compare(experiments(trials, 'abcd'[:k], (20,), sd=.01).assign(score=lambda d: d.score+truth/100*(d.strategy=='a')))
    found = (r.p_holm<.05)[(r.strategy=='a')&(r['at']==20)].mean()
    assert abs(found-.8)<.035 if k==1 else .765<found<.86
    assert abs((r.p<.05/k)[(r.strategy=='a')&(r['at']==20)].mean()-.8)<.035

@pytest.mark.parametrize('trials', [3, 5, 10])
def test_the_detectable_difference_is_right_on_average(trials):
    r = compare(experiments(trials))
    assert abs(r.detectable[r['at']==40].mean()/detectable(1., trials, .025)-1)<.05

def test_equal_strategies_are_seldom_called_different():
    r = compare(experiments(3, 'abcd', (20, 40, 60)))
    assert (r.p<.05).mean()<.06
    for area in True, False: assert (r[(r['at']=='area')==area].groupby('study').p_holm.min()<.05).mean()<.06

def test_power_and_its_inverse_agree():
    for d in .3, 1, 3, 30:
        n = trials_needed(d, 1)
        assert n==2 or detectable(1, n)<=d<detectable(1, n-1)
    assert trials_needed(0, 1)==np.inf and np.isnan(trials_needed(np.nan, 1)) and detectable(1, 1)!=detectable(1, 1)
    assert trials_needed(1e6, 1)==2 and np.isfinite(detectable(1, 2, .05/400))

@pytest.mark.parametrize('trials', [3, 5, 10])
def test_label_efficiency_covers_the_truth(trials):
    n = 400
    d = experiments(trials, budgets=(20, 40, 80), n=n, sd=.008)
    d['score'] += d.units.map({20: 0, 40: .07, 80: .11})-.03*d.units.map({20: 0, 40: 1, 80: 2})
    d.loc[(d.strategy=='a')&(d.units==40), 'score'] += .02
    e = efficiency(d[(d.strategy=='random')|(d.units==40)])
    assert len(e)==n and .925<=((e.lo<=60)&(60<=e.hi)).mean()<=.975
    assert abs(e.point[np.isfinite(e.point)].median()-60)<2

def test_label_efficiency_is_open_where_nothing_was_run():
    d = table(random=[.60, .61, .62], good=[.80, .82, .81], bad=[.40, .42, .41])
    e = efficiency(d[(d.units==40)|(d.strategy=='random')]).set_index('strategy')
    assert (e.point['good'], e.hi['good'], e.lo['good'])==(np.inf, np.inf, 40) and (e.lo['bad'], e.hi['bad'])==(0, 20)
    one = efficiency(d[d.trial==1]).iloc[0]
    assert np.isnan(one.lo) and one.trials==1

# pairing
def test_the_order_of_rows_does_not_matter():
    d = experiments(3, 'ab', n=3).assign(run=lambda o: o.strategy+o.trial.astype(str))
    d = pd.concat([d, d[:4].assign(run='z', score=.1)])
    for f in compare, ranks, efficiency: pd.testing.assert_frame_equal(f(d), f(d.sample(frac=1, random_state=0)))

def test_trials_are_paired_by_first_set():
    d = table(random=[.5, .6, .7], a=[.52, .61, .75]).assign(run='r')
    d['first'] = [f'{t}{"x"*(s=="a" and t==2)}' for s,t in zip(d.strategy, d.trial)]
    with pytest.warns(UserWarning, match='first sets differ: a trial 2'): r = compare(d)
    r = r[r['at']==40].iloc[0]
    assert r.trials==2 and abs(r['mean']-3.5)<1e-9 and r.note=='trial 2 left out: first sets differ'
    with pytest.warns(UserWarning): r = compare(pd.concat([d[d['first']!='2x'], d[d['first']=='2x'].assign(first='2', run='r'), d[d['first']=='2x'].assign(first='q')]))
    assert r.trials[r['at']==40].tolist()==[2]
    d.loc[d.trial==2, 'first'] = None
    assert compare(d).trials[1]==3
    with pytest.warns(UserWarning): ranks(d.assign(first=d.strategy))

def test_what_cannot_be_used_is_named():
    d = table(random=[.5, .6, .7], a=[.52, .61, .75], b=[.53, .64])
    d = pd.concat([d.assign(run='r'), d[(d.strategy=='b')&(d.trial==1)].assign(run='s', score=.9)])
    d.loc[(d.strategy=='a')&(d.trial==3)&(d.units==40), 'score'] = np.nan
    r = compare(d).set_index(['strategy', 'at'])
    assert r.trials['a',40]==2 and r.note['a',40]=='trial 3 left out: no score'
    assert 'trial 1 has two scores' in r.note['b',40] and abs(r['mean']['b',40]-3.5)<1e-9

def test_one_trial_has_no_interval():
    d = table(random=[.5], a=[.52])
    r = compare(d).set_index('at')
    assert r.note[20]=='same training' and r.note[40]=='one trial: no interval' and abs(r['mean'][40]-2)<1e-9
    assert r[['lo', 'hi', 'p', 'p_holm', 'detectable']].isna().all(axis=None)
    assert ranks(d).w.isna().all() and penalties(d)=={}

def test_equal_differences_have_no_interval():
    r = compare(table(random=[.5, .6, .7], a=[.52, .62, .72])).iloc[1]
    assert np.isnan(r.lo) and np.isnan(r.p) and 'no spread' in r.note

def test_a_line_without_its_baseline_is_a_row_without_numbers():
    d = table(random=[.5, .6, .7], a=[.52, .61, .75]).assign(ssl='none')
    r = compare(pd.concat([d, d[d.strategy=='a'].assign(ssl='uda')]))
    r = r[r.ssl=='uda']
    assert len(r)==3 and (r.trials==0).all() and r['mean'].isna().all() and r.note.str.contains('left out: no random').all()
    with pytest.raises(InputError, match='random was not run'): compare(d[d.strategy=='a'])
    with pytest.raises(InputError, match='only random was run'): compare(d[d.strategy=='random'])
    with pytest.raises(InputError, match='no trainings'): compare(d[:0])
    with pytest.raises(InputError, match='no column score'): compare(d.drop(columns='score'))

def test_unfinished_trials_stay_out_of_the_area():
    d = experiments(3, budgets=(20, 40, 60), n=1)
    r = compare(d[(d.trial<3)|(d.units<60)]).set_index('at')
    assert r.trials.to_dict()=={20: 3, 40: 3, 60: 2, 'area': 2}

# ranks, who beats whom
def test_ranks():
    d = pd.concat([table(random=[.1, .2, .3], a=[.2, .3, .4], b=[.3, .4, .5], short=[.9])])
    r = ranks(d[d.strategy!='short'])
    r = r[r['at']==40].set_index('strategy')
    assert r['rank'].to_dict()==dict(b=1, a=2, random=3) and (r.w==1).all() and r['first']['b']==1
    with pytest.warns(UserWarning, match='one trial only: short'): assert ranks(d)['trials'].max()==3
    assert kendall_w([[1, 2], [2, 1]])==0 and np.isnan(kendall_w([[1, 2]]))

def test_rows_beat_columns():
    rng = np.random.default_rng(0)
    d = table(worst=.3+.001*rng.normal(size=5), best=.8+.001*rng.normal(size=5), mid=.5+.001*rng.normal(size=5))
    m = penalties(d)['', 'none', 'none', 'random', 'image']
    assert m.loc['best', 'worst']==m.loc['best', 'mid']==m.loc['mid', 'worst']==1 and m.loc['worst', 'best']==0
    assert m.loc['best', 'beats others']==1 and m.loc['is beaten', 'worst']==1 and m.loc['is beaten', 'mid']==.5
    assert sum(sum(p.drop('is beaten')['beats others']>0) for p in penalties(experiments(3, 'ab', n=200)).values())<.06*200*3*2

# verdicts
sure,vague,back,zero = [2., 2.1, 1.9],[0., 2, 4],[-2., -2.1, -1.9],[-.1, 0, .1]

# chkstyle: ignore-node
words = [('>', [sure], 0, 'reproduced'), ('>', [vague], 0, 'cannot tell'), ('>', [back], 0, 'contradicted'), ('>', [[2.]], 0, 'cannot tell'), ('>', [sure], 1, 'cannot tell'),
    ('>', [sure, vague], 0, 'cannot tell'), ('>', [sure, back], 0, 'contradicted'), ('>', [back], 1, 'contradicted'),
    ('>=', [zero], 0, 'reproduced'), ('>=', [back], 0, 'contradicted'), ('>=', [vague], 0, 'cannot tell'),
    ('~', [zero], 0, 'reproduced'), ('~', [sure], 0, 'contradicted'), ('~', [zero, back], 0, 'contradicted'), ('~', [vague], 0, 'cannot tell'), ('~', [zero], 2, 'cannot tell'),
    ('none', [zero, back], 0, 'reproduced'), ('none', [zero, sure], 0, 'contradicted'), ('none', [vague], 0, 'cannot tell'), ('none', [back], 1, 'cannot tell'),
    ('some', [back, vague], 1, 'reproduced'), ('some', [zero, sure], 0, 'contradicted'), ('some', [zero], 1, 'cannot tell'), ('some', [vague], 0, 'cannot tell'),
    ('most', [sure, sure, vague], 0, 'reproduced'), ('most', [sure, vague], 0, 'cannot tell'), ('most', [back, sure], 0, 'contradicted'), ('most', [sure, sure], 2, 'cannot tell')]

@pytest.mark.parametrize('kind,xs,absent,word', words)
def test_a_word_no_stronger_than_the_numbers(kind, xs, absent, word): assert judge(kind, xs, absent=absent)[0]==word

def test_trials_that_it_would_take():
    assert judge('>', [vague])[1]==trials_needed(2, 2/.8862)==judge('>', [vague], effect=2.)[1]
    assert judge('>', [vague], effect=1.)[1]>judge('>', [vague])[1]==judge('>', [vague], effect=20.)[1] and np.isnan(judge('>', [[1.]])[1]) and np.isnan(judge('>', [sure])[1])

def test_no_trials_settle_what_was_not_run():
    away = [0., 2., 4.]
    assert judge('some', [away], absent=1)==('cannot tell', pytest.approx(np.nan, nan_ok=True)) and judge('some', [away])[1]>2
    assert judge('some', [[-o for o in away]], absent=1)[1]>3 and np.isnan(judge('most', [vague], absent=1)[1]) and np.isnan(judge('>', [vague], absent=1)[1])

def test_a_contradiction_shows_what_contradicts():
    v = verdicts(runs_of([('random', dict(augment='strong'), 0.), ('entropy', dict(augment='strong'), .1), ('core_set', dict(augment='strong'), .2)], budget='low'))
    r = v[v.claim.str.startswith('Supervised, no other')].iloc[0]
    assert r.verdict=='contradicted' and 'comparisons, and Core-set against Random +2' in r.ours, r.ours

def test_many_looks_need_a_wider_interval():
    x = [1., 1.6, 2.2]
    assert stats.ttest_1samp(x, 0).pvalue<.05 and judge('none', [x], 9.)[0]=='contradicted' and judge('none', [x]+[zero]*9, 9.)[0]!='contradicted'

def runs_of(lines, task='digits', budget='large', trials=3, seed=0, **kw):
    "Trainings over three budgets; lines are ((strategy, settings), lead at the last budget)"
    rng = np.random.default_rng(seed)
    return pd.DataFrame([asdict(Spec(task=task, budget=budget, strategy=s, trial=t, **o))|dict(study=task+budget, run=f'{s}{o}{t}', cycle=k, cost=20*k+20,
        units=20*k+20, score=.6+.01*k+v*k/2+.0005*rng.normal())|kw for s,o,v in lines for t in range(1, trials+1) for k in range(3)])

def word_of(v, text): return v.verdict[v.claim.str.contains(text)].tolist()

five = [(s, v) for s,v in dict(random=0., entropy=.02, core_set=.02, ens_varr=.03, learn_loss=.04).items()]

def test_verdicts_of_made_up_runs():
    bare = [(s, dict(augment='none'), v) for s,v in five]
    raw = [(s, dict(augment='strong'), .2+v/1000) for s,v in five]
    ssl = [(s, dict(ssl='uda'), .3-v) for s,v in five]
    v = verdicts(runs_of(bare+raw+ssl))
    f = lambda n: v.verdict[v.figure==n].tolist()
    assert f('1')==['reproduced'] and f('2')==['reproduced']*3 and f('3')==['not run']*3
    assert f('4')==['contradicted', 'cannot tell', 'contradicted', 'contradicted'] and v.needed[v.figure=='2'].isna().all()
    assert v.runs[v.figure=='2'].map(len).tolist()==[15, 6, 15] and v.study[1].startswith('digits (for CIFAR-10), pocket')
    assert word_of(verdicts(runs_of(bare[:3]+raw[:3])), 'every strategy beats')==['cannot tell']
    one = verdicts(runs_of(bare+raw+ssl, trials=1))
    assert {*one.verdict}=={'cannot tell', 'not run'} and one.needed.isna().all()

def test_verdicts_of_a_changed_ranking():
    bare,raw = [(s, dict(augment='none'), v) for s,v in five],[(s, dict(augment='strong'), .3-v) for s,v in five]
    ask = lambda d: word_of(verdicts(d), 'Augmentation changes')
    same = [(s, dict(augment=a), .1*k) for a in ('none', 'strong') for k,(s,_) in enumerate(five)]
    assert ask(runs_of(bare+raw, 'digit_pairs'))==['reproduced'] and ask(runs_of(same, 'digit_pairs'))==['contradicted'] and ask(runs_of(bare+raw, 'digit_pairs', trials=1))==['cannot tell']
    ssl = lambda k,task: runs_of([(s, dict(ssl='uda'), .3+k*v) for s,v in five], task)
    assert word_of(verdicts(pd.concat([ssl(1, 'digits'), ssl(-1, 'digit_pairs')])), 'second data set')==['reproduced']

def test_verdicts_of_other_tables():
    clicks = pd.DataFrame(dict(convention='paper', tolerance=[5, 10], clicks=[40., 33.4], miou=[.97, .951]))
    v = verdicts(pd.DataFrame(), clicks=clicks)
    assert v.verdict[v.figure.isin(['10', '11'])].tolist()==['reproduced']*3 and {*v.verdict[~v.figure.isin(['10', '11'])]}=={'not run'}
    v = verdicts(pd.DataFrame(), clicks=pd.concat([clicks.assign(clicks=[3, 30], miou=.9), clicks.assign(convention='x', clicks=31.5, miou=.99)]))
    assert v.verdict[v.figure=='10'].tolist()==['contradicted', 'cannot tell'] and v.verdict[v.figure=='11'].tolist()==['contradicted']
    d = runs_of([('entropy', {}, .1), ('random', {}, 0)])
    audit = pd.DataFrame(dict(run=[o for o in d.run.unique() if 'entropy' in o], class_divergence=[.3, .31, .29], by_chance=.1))
    assert word_of(verdicts(d, audit), 'biases')==['reproduced']

def test_every_claim_can_be_read():
    for c in claims[claims.study.str.contains('first|second|both')&(claims.kind!='reorder')].itertuples(): assert pairs_of(c.left, c.right, 'classification'), c.claim
    d = runs_of([('random', dict(augment='strong'), 0.), ('entropy', dict(augment='strong'), .1)]).assign(way='raw', first=lambda o: o.strategy+'x'*1)
    pair = ('raw:entropy/image',),('raw:random/image',)
    assert samples(d, pair, 'last')==[] and len(samples(d.assign(first=None), pair, 'every'))==3
