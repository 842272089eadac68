"Data sets in the layouts that people have, and what is wrong with them"
import hashlib,pickle,tarfile

import numpy as np, pytest, torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import generator,Spec
from deep_al_illusions.tasks.named import load_task,stamp
from deep_al_illusions.loop.purchase import check
from deep_al_illusions.choose.pool import balanced,first_set

def md5(p): return hashlib.md5(p.read_bytes()).hexdigest()

def small_cifar(tmp_path, monkeypatch, cls, key, names):
    "An archive in CIFAR's layout with 20 images a file, and its checksums in torchvision's class"
    rng,src = np.random.default_rng(0),tmp_path/'src'/cls.base_folder
    src.mkdir(parents=True)
    lists = {}
    for part in 'train_list','test_list':
        lists[part] = []
        for name,_ in getattr(cls, part):
            d = {'data': rng.integers(0, 256, (20, 3072), dtype=np.uint8), key: [i%len(names) for i in range(20)]}
            (src/name).write_bytes(pickle.dumps(d))
            lists[part].append([name, md5(src/name)])
    (src/cls.meta['filename']).write_bytes(pickle.dumps({cls.meta['key']: names}))
    (tmp_path/'data').mkdir()
    archive = tmp_path/'data'/cls.filename
    with tarfile.open(archive, 'w:gz') as t: t.add(src, cls.base_folder)
    for k,v in (lists|dict(tgz_md5=md5(archive), meta=cls.meta|dict(md5=md5(src/cls.meta['filename'])))).items(): monkeypatch.setattr(cls, k, v)
    return archive

@pytest.mark.parametrize('cls,key', [(CIFAR10, 'labels'), (CIFAR100, 'fine_labels')])
def test_cifar_from_its_archive(tmp_path, monkeypatch, cls, key):
    small_cifar(tmp_path, monkeypatch, cls, key, [f'c{i}' for i in range(5)])
    t = load_task(cls.__name__.lower())
    n = 20*len(cls.train_list)
    assert t.x_train.shape==(n, 3, 32, 32) and t.x_train.dtype==torch.uint8 and len(t.y_test)==20 and t.classes[1]=='c1'
    raw = pickle.loads((tmp_path/'src'/cls.base_folder/cls.train_list[0][0]).read_bytes())
    assert t.x_train[3].flatten().tolist()==raw['data'][3].tolist()

def no_network(*a, **kw): raise OSError('no network')

def test_cifar_that_cannot_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr('torchvision.datasets.utils._urlretrieve', no_network)
    with pytest.raises(InputError, match='no cifar-10-python.tar.gz in .*put the archive'): load_task('cifar10')
    assert not (tmp_path/'data').exists()

def test_cifar_archive_that_is_corrupt(tmp_path, monkeypatch):
    archive = small_cifar(tmp_path, monkeypatch, CIFAR10, 'labels', list('abcde'))
    archive.write_bytes(archive.read_bytes()[:-100])
    monkeypatch.setattr('torchvision.datasets.utils._urlretrieve', no_network)
    with pytest.raises(InputError, match='is not the published file'): load_task('cifar10')

def test_no_digit_is_in_train_and_test_pairs():
    t = load_task('digit_pairs')
    halves = [{o.numpy().tobytes() for x in (d[..., :16], d[..., 16:]) for o in x.contiguous()} for d in (t.x_train, t.x_test)]
    assert not halves[0]&halves[1] and len(t.classes)==100

# chkstyle: ignore-node
bad = {
    'integer': (lambda d: d|dict(y_train=d['y_train']/2), 'store one integer an image'),
    'missing': (lambda d: {k: v for k,v in d.items() if k!='x_test'}, 'no x_test in the archive'),
    'floats to 255': (lambda d: d|dict(x_train=d['x_train']*1.), 'range=0,'),
    'images of text': (lambda d: d|dict(x_train=d['x_train'].astype(str)), 'store images as uint8'),
    'shape': (lambda d: d|dict(x_train=d['x_train'].reshape(80, -1)), 'has shape'),
    'count': (lambda d: d|dict(y_train=d['y_train'][:-1]), '80 train images but 79 labels'),
    'test size': (lambda d: d|dict(x_test=np.resize(d['x_test'], (40, 10, 10, 3))), 'test images are 10 x 10'),
    'negative': (lambda d: d|dict(y_train=d['y_train']-1), 'out of range'),
    'test label': (lambda d: d|dict(y_test=d['y_test']+1), 'train counts from 0 and test from 1'),
    'a label for each': (lambda d: d|dict(y_train=np.arange(80)*10**9), 'out of range'),
    'beyond classes': (lambda d: d|dict(classes=np.array(['a', 'b', 'c'])), 'out of range'),
    'one class': (lambda d: d|dict(y_train=d['y_train']*0, y_test=d['y_test']*0), 'one class only'),
    'pickled': (lambda d: d|dict(classes=np.array(['a', 1], dtype=object)), 'not a readable .npz'),
    'no dimension': (lambda d: d|dict(y_train=np.array(3)), 'store one integer an image'),
    'odd classes': (lambda d: d|dict(classes=np.array(5)), 'classes must be a list'),
    'same classes': (lambda d: d|dict(classes=np.array(list('aabb'))), 'classes must be a list'),
    'empty': (lambda d: d|dict(x_train=d['x_train'][:0], y_train=d['y_train'][:0]), 'no train images')}

@pytest.mark.parametrize('case', bad)
def test_npz_that_is_wrong(tmp_path, arrays, case):
    change,words = bad[case]
    np.savez(tmp_path/'a.npz', **change(arrays))
    with pytest.raises(InputError, match=words) as e: load_task(f'npz:{tmp_path}/a.npz')
    assert '\n' not in str(e.value)

@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 not a zip', b'\x93NUMPY nonsense'])
def test_npz_that_is_no_archive(tmp_path, content):
    (tmp_path/'a.npz').write_bytes(content)
    with pytest.raises(InputError, match='not a'): load_task(f'npz:{tmp_path}/a.npz')

def test_npz_grey_columns_and_channels_first_agree(tmp_path, arrays):
    grey = {k: v[..., 0] if k[0]=='x' else v[:,None] for k,v in arrays.items()}
    np.savez(tmp_path/'grey.npz', **grey)
    np.savez(tmp_path/'first.npz', **{k: v.repeat(3, 0).reshape(-1, 3, 8, 8) if k[0]=='x' else v for k,v in grey.items()})
    a,b = [load_task(f'npz:{tmp_path}/{o}.npz') for o in ('grey', 'first')]
    assert torch.equal(a.x_train, b.x_train) and torch.equal(a.y_test, b.y_test)

def test_budget_beyond_the_pool(tmp_path, arrays):
    np.savez(tmp_path/'a.npz', **arrays)
    with pytest.raises(InputError, match='budget of 90 labels .* beyond the pool of 80'):
        check(Spec(task=f'npz:{tmp_path}/a.npz', initial=10, per_cycle=20))

@pytest.mark.parametrize('seed', range(20))
def test_first_set_is_as_balanced_as_can_be(seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 6, (300,), generator=g)
    y[y==5] = torch.where(torch.rand(int((y==5).sum()), generator=g)<.8, 0, 5)
    for n in 1,7,30,120,300:
        counts,have = y[balanced(y, torch.Generator().manual_seed(seed))[:n]].bincount(minlength=6),y.bincount(minlength=6)
        short = counts<have
        assert counts.sum()==n and (not short.any() or counts.max()-counts[short].min()<=1)

def test_first_sets_pair_strategies_and_part_trials():
    y = load_task('digits').y_train
    sets = [first_set(y, 20, 10, generator(Spec(strategy=s, trial=t), 'first')).lbl for s,t in (('random', 1), ('margin', 1), ('random', 2))]
    assert sets[0]==sets[1]!=sets[2]

@pytest.fixture
def photos(tmp_path):
    "A folder of images in three classes"
    for i in range(24):
        p = tmp_path/'photos'/('train' if i<18 else 'test')/'abc'[i%3]/f'{i}.png'
        p.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((12+i%2, 14, 3), i, np.uint8)).save(p)
    return tmp_path/'photos'

def test_folder_of_images(photos):
    t = load_task(f'folder:{photos}@16')
    assert t.classes==list('abc') and t.x_train.shape==(18, 3, 16, 16) and t.x_train[0].unique().tolist()==[0]
    (photos/'train/.ipynb_checkpoints').mkdir()
    (photos/'train/gone').symlink_to(photos/'nothing')
    assert load_task(f'folder:{photos}@16').classes==list('abc') and stamp(f'folder:{photos}@16')

def test_folder_that_is_wrong(photos):
    def says(words, task=f'folder:{photos}@16'):
        with pytest.raises(InputError, match=words) as e: load_task(task)
        assert '\n' not in str(e.value)
    says('resize all with', f'folder:{photos}')
    says('at least 8 x 8', f'folder:{photos}@0')
    (photos/'test/zebra').mkdir()
    says('test has classes that train has not: zebra')
    (photos/'train/zebra').mkdir()
    says('class zebra has no training images')
    (photos/'train/zebra/torn.png').write_bytes((photos/'train/a/0.png').read_bytes()[:50])
    says('torn.png cannot be read')
