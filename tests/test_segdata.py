"Segmentation data in the layouts that people have, what is wrong with them, and invariants of crops and scores"
import warnings

import numpy as np, pytest, torch, torch.nn.functional as F
from PIL import Image
from sklearn.metrics import confusion_matrix, jaccard_score

from deep_al_illusions.study.basics import InputError
from deep_al_illusions.tasks.options import Options
from deep_al_illusions.segment.segdata import confusion,Images,ious,miou
from deep_al_illusions.segment.scenes import scene,scenes
from deep_al_illusions.segment.files import voc,write_voc
from deep_al_illusions.segment.masks import camvid,masks
from deep_al_illusions.segment.crops import Crops

def gen(seed=0): return torch.Generator().manual_seed(seed)

@pytest.fixture
def folders(tmp_path):
    "20 images and label maps of the same stems"
    for i in range(20): save(tmp_path, i, *scene(i, size=32))
    return tmp_path

def save(root, i, x, y):
    for o,a in ('images', x),('labels', y):
        (root/o).mkdir(exist_ok=True, parents=True)
        Image.fromarray(a).save(root/o/f'{i}.png')

def load(root, **kw): return masks(f'masks:{root}/images,{root}/labels')

@pytest.fixture
def devkit(tmp_path): return write_voc(tmp_path/'VOCdevkit', 12, 6, size=40)

def quiet(f, *args):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return f(*args)

# scores

def test_score_against_sklearn():
    g = gen()
    p,t = torch.randint(0, 5, (4, 30, 30), generator=g),torch.randint(0, 5, (4, 30, 30), generator=g)
    t[:,:5] = 255
    keep = t!=255
    c = confusion(p, t.byte(), 5)
    assert (c.numpy()==confusion_matrix(t[keep], p[keep])).all()
    assert np.allclose(ious(c), jaccard_score(t[keep], p[keep], average=None))
    assert miou(c)==pytest.approx(jaccard_score(t[keep], p[keep], average='macro'))
    assert (confusion(p[:2], t[:2], 5)+confusion(p[2:], t[2:], 5)==c).all()

def test_score_of_nothing():
    c = confusion(torch.zeros(3), torch.full((3,), 255), 4)
    assert c.sum()==0 and c.shape==(4, 4) and np.isnan(miou(c)) and (ious(c, 'zero')==0).all()

# scenes

def test_scenes_are_the_same_for_ever():
    t = scenes()
    assert t.digest==scenes().digest and t.x_train.shape==(900, 3, 96, 96) and len(t.y_test)==500 and t.kind=='segmentation' and t.background==0
    assert (scene(901)[1]==t.y_test[1].numpy()).all() and t.void==255 and len(t.costs)==900

def test_scene_options():
    for i in range(30):
        x,y = scene(i, 20, (50, 70), ring=i%2==0)
        assert x.shape==(50, 70, 3) and y.shape==(50, 70) and x.dtype==y.dtype==np.uint8 and set(np.unique(y))<={*range(21), 255}
        assert ((y==255).any()==(i%2==0)) or not (y>0).any()
    easy,hard = (np.mean([np.abs(np.diff(scene(i, difficulty=d)[0].astype(int), axis=0)).mean() for i in range(20)]) for d in (0, 2))
    assert easy<hard and (scene(5, difficulty=0)[1]==scene(5, difficulty=2)[1]).all()

# VOC

def test_voc_from_either_folder(devkit):
    a,b,c = (quiet(voc, f'voc:{o}') for o in (devkit, devkit/'VOC2012', devkit.parent))
    assert a.digest==b.digest==c.digest and len(a.x_train)==12 and len(a.x_test)==6 and a.background==0 and len(a.classes)==21
    assert a.x_train[0].shape[1:]==a.y_train[0].shape==a.x_train.sizes[0] and isinstance(a.x_train, Images)
    assert quiet(voc, f'voc:{devkit}@20').x_train.sizes[1]==(20, 27)

def test_voc_labels_are_the_right_ones(devkit):
    for o in (devkit/'VOC2012/SegmentationClassAug').iterdir(): assert Image.open(o).mode=='P'
    t = quiet(voc, f'voc:{devkit}')
    Image.fromarray(np.ones((40, 30), np.uint8)).save(devkit/'VOC2012/SegmentationClass/2007_000012.png')
    u = quiet(voc, f'voc:{devkit}')
    assert (u.y_test[0]==1).all() and t.digest!=u.digest and (t.y_train[0]==u.y_train[0]).all()

def test_voc_lists_with_paths(devkit):
    p = devkit/'VOC2012/ImageSets/Segmentation/train_aug.txt'
    t,ids = quiet(voc, f'voc:{devkit}'),p.read_text().split()
    p.write_text(''.join(f'/JPEGImages/{o}.jpg /SegmentationClassAug/{o}.png\n' for o in ids)+'\n')
    assert quiet(voc, f'voc:{devkit}').digest==t.digest

# chkstyle: ignore-node
@pytest.mark.parametrize('gone,match', [('JPEGImages', 'no JPEGImages in .*give the VOCdevkit folder'), ('SegmentationClassAug', 'put the label maps of the augmented'),
    ('ImageSets/Segmentation/train_aug.txt', 'put the list of the 10,582'), ('ImageSets/Segmentation/val.txt', 'part of PASCAL VOC 2012'),
    ('JPEGImages/2007_000003.jpg', '1 of 12 train photographs are missing, first .*2007_000003.jpg'),
    ('SegmentationClass/2007_000013.png', '1 of 6 test label maps are missing')])
def test_voc_incomplete(devkit, gone, match):
    (devkit/'VOC2012'/gone).rename(devkit/'elsewhere')
    with pytest.raises(InputError, match=match): quiet(voc, f'voc:{devkit}')

def test_voc_that_cannot_be_had(tmp_path, monkeypatch):
    def no_network(*a, **kw): raise OSError('no network')
    monkeypatch.setattr('torchvision.datasets.utils._urlretrieve', no_network)
    with pytest.raises(InputError, match='no download .*unpack http'): voc()
    assert not (tmp_path/'data').exists()

def test_voc_in_data_root(devkit, monkeypatch):
    monkeypatch.setenv('DAL_DATA_ROOT', str(devkit.parent))
    t = quiet(voc)
    assert t.name=='voc' and len(t.x_train)==12 and t.std==[1/255]*3

# CamVid

def camvid_folder(root, test='val', k=12):
    for part in 'train',test:
        for i in range(4):
            y = (np.arange(30*40).reshape(30, 40)+i)%k
            for o,a in (part, np.stack([y*10, y*10, y*0+9*(part=='train')], 2)),(part+'annot', y):
                (root/o).mkdir(exist_ok=True, parents=True)
                Image.fromarray(a.astype(np.uint8)).save(root/o/f'{i}.png')
    return f'camvid:{root}'

@pytest.mark.parametrize('test', ['val', 'test'])
def test_camvid(tmp_path, test):
    t = camvid(camvid_folder(tmp_path, test))
    assert t.background is None and len(t.classes)==11 and torch.is_tensor(t.x_train) and t.x_train.shape==(4, 3, 30, 40)
    assert set(t.y_test.unique().tolist())=={*range(11), 255} and ((t.x_test[:,0]==110)==(t.y_test==255)).all()
    assert camvid(f'camvid:{tmp_path}@15').y_train.shape==(4, 15, 20)

def test_camvid_out_of_range(tmp_path):
    with pytest.raises(InputError, match='4 of 4 train label maps have a class out of range, first 0.png with class 12; there are 0..10'): camvid(camvid_folder(tmp_path, k=13))
    with pytest.raises(InputError, match='no folder'): camvid(f'camvid:{tmp_path}/train')
    with pytest.raises(InputError, match='no such file or folder'): camvid('camvid:nowhere')

# Your own

def test_masks_split(folders):
    t,u = (quiet(load, folders) for _ in range(2))
    assert t.digest==u.digest and len(t.x_train)==16 and len(t.x_test)==4 and t.background==0
    for k,part in enumerate(('train', 'val')):
        for i in range(6): save(folders/part, f'{part}{i}', *scene(50*k+i, size=32))
    for o in 'images','labels':
        for part in 'train','val': (folders/part/o).rename(folders/o/part)
    t = quiet(load, folders)
    assert len(t.x_train)==len(t.x_test)==6 and (t.y_test[1].numpy()==scene(51, size=32)[1]).all()

def test_masks_classes(folders):
    for names,background in ('sky a b c d e f'.split(), None),('a b background c d e f'.split(), 2):
        (folders/'labels/classes.txt').write_text('\n'.join(names)+'\n')
        t = quiet(load, folders)
        assert t.classes==names and t.background==background
    (folders/'labels/classes.txt').rename(folders/'classes.txt')
    assert quiet(load, folders).classes==names
    (folders/'classes.txt').write_text('a\nb\n')
    with pytest.raises(InputError, match='class out of range, first .* there are 0..1, and 255'): load(folders)

def test_masks_bad_files(folders):
    lbl = folders/'labels/3.png'
    colours = 'the others .first 3.png. colours; export all'
    for a,match in ((np.full((32, 32, 3), (9,8,7)), colours), (np.zeros((32, 32, 4)), '3.png is partly transparent'), (np.zeros((30, 32)), 'is 32 x 32, its label map 30 x 32')):
        Image.fromarray(a.astype(np.uint8)).save(lbl)
        with pytest.raises(InputError, match=match): load(folders)
    Image.fromarray(np.zeros((32, 32), np.uint16)).save(lbl)
    assert len(quiet(load, folders).classes)==7
    Image.fromarray(np.full((32, 32), 300, np.uint16)).save(lbl)
    with pytest.raises(InputError, match='classes are 0..254, and 255 is void'): load(folders)
    lbl.write_bytes(lbl.read_bytes()[:40])
    with pytest.raises(InputError, match='3.png cannot be read'): load(folders)
    lbl.write_text('hello')
    with pytest.raises(InputError, match='3.png cannot be read'): load(folders)

def test_jpeg_cut_short(folders):
    for o in (folders/'images').iterdir():
        Image.open(o).save(o.with_suffix('.jpg'))
        o.unlink()
    quiet(load, folders)
    p = folders/'images/7.jpg'
    p.write_bytes(p.read_bytes()[:-40])
    with pytest.raises(InputError, match='7.jpg cannot be read'): load(folders)
    p.unlink()
    with pytest.raises(InputError, match='1 of 20 label maps in .* have no photograph in .*, first 7.png'): load(folders)

def test_masks_without_label(folders):
    (folders/'labels/7.png').unlink()
    with pytest.warns(UserWarning, match='1 of 20 photographs .*left out, first 7.png'): t = load(folders)
    assert len(t.x_train)+len(t.x_test)==19

def test_masks_void(folders):
    def fill(v, ids):
        for i in ids: Image.fromarray(np.full((32, 32), v, np.uint8)).save(folders/f'labels/{i}.png')
    fill(0, range(9))
    quiet(load, folders)
    fill(255, [4])
    with pytest.warns(UserWarning, match='label maps are void .* first 4.png'): load(folders)
    fill(255, range(20))
    with pytest.raises(InputError, match='one class only'): load(folders)
    (folders/'classes.txt').write_text('a\nb')
    with pytest.raises(InputError, match='all train label maps are void'): load(folders)

def test_masks_empty(tmp_path):
    for o in 'images','labels': (tmp_path/o).mkdir()
    with pytest.raises(InputError, match='no train images'): load(tmp_path)
    with pytest.raises(InputError, match='give two folders'): masks(f'masks:{tmp_path}')
    with pytest.raises(InputError, match='no such file or folder'): masks(f'masks:{tmp_path},nowhere')

# Photographs as a viewer shows them, and parts

def lying(root, way=6):
    "Photographs stored lying with the tag that stands them up, beside upright maps"
    exif = Image.Exif()
    exif[0x0112] = way
    for i in range(12):
        x,y = scene(i, size=(40, 60))
        for o in 'images','labels': (root/o).mkdir(exist_ok=True, parents=True)
        back = {6: 1, 3: 2, 8: 3}[way]
        Image.fromarray(np.rot90(x, back).copy()).save(root/f'images/{i}.jpg', quality=95, exif=exif)
        Image.fromarray(y).save(root/f'labels/{i}.png')

@pytest.mark.parametrize('way', [3, 6, 8])
def test_photographs_lie_as_their_label_maps_do(tmp_path, way):
    lying(tmp_path, way)
    t = quiet(load, tmp_path)
    for i in range(12):
        if (t.y_test[0].numpy()==scene(i, size=(40, 60))[1]).all(): x = scene(i, size=(40, 60))[0]
    assert np.corrcoef(t.x_test[0].permute(1, 2, 0).flatten(), x.flatten())[0,1]>.95

def test_a_map_drawn_on_what_is_stored_is_told_apart(tmp_path):
    lying(tmp_path)
    Image.fromarray(np.zeros((60, 40), np.uint8)).save(tmp_path/'labels/3.png')
    with pytest.raises(InputError, match='3.jpg is 40 x 60, its label map 60 x 40; was the map drawn .*EXIF'): load(tmp_path)

def messages(root, **kw):
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter('always')
        t = masks(f'masks:{root}/images,{root}/labels', **kw)
    return t,' | '.join(str(o.message) for o in w)

def halves(root, n=6, k=50):
    for i in range(2*n):
        x,y = scene(i%n+k*(i//n), size=32)
        for o,a in ('images', x),('labels', y):
            p = root/o/('train', 'valid')[i//n]/f'{i}.png'
            p.parent.mkdir(exist_ok=True, parents=True)
            Image.fromarray(a).save(p)

def test_copies_are_counted_or_dropped(tmp_path):
    halves(tmp_path)
    for o in 'images','labels':
        Image.open(tmp_path/o/'train/0.png').save(tmp_path/o/'train/90.png', compress_level=0)
        Image.open(tmp_path/o/'train/1.png').save(tmp_path/o/'valid/91.png', compress_level=0)
    t,said = messages(tmp_path)
    assert len(t.x_train)==7 and '1 of 7 photographs of the pool are copies' in said and '1 of 7 test photographs are in the pool' in said
    t,said = messages(tmp_path, options=Options(copies='drop'))
    assert (len(t.x_train), len(t.x_test))==(5, 7) and 'copies are left out: 2 of 7 in the pool, 0 of 7 in test' in said
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path/'labels/train/90.png')
    assert '1 of them with different label maps' in messages(tmp_path)[1]

def test_a_test_set_that_is_all_in_the_pool_is_refused(tmp_path):
    halves(tmp_path, k=0)
    with pytest.raises(InputError, match='all 6 test photographs are in the pool too'): load(tmp_path)

def test_whole_clips_of_a_film_are_for_testing(tmp_path):
    rng = np.random.default_rng(0)
    for clip in range(5):
        x,y = scene(clip, size=32)
        for k in range(6): save(tmp_path, f'clip{clip}_{k:03}', (x//2+rng.integers(0, 9, x.shape)).astype(np.uint8), y)
    t,said = messages(tmp_path)
    assert 'frames of 5 clips, so whole clips are for testing' in said and len(t.x_test)==6
    assert all((y==t.y_test[0]).all() for y in t.y_test)
    other = tmp_path/'other'
    for i in range(30): save(other, f'cat{i//6}_{i%6}', *scene(i, size=32))
    assert 'frames of' not in messages(other)[1]

def test_a_part_may_lie_beside_the_one_that_is_named(tmp_path):
    halves(tmp_path)
    for part in 'train','valid':
        (tmp_path/'set'/part).mkdir(parents=True)
        for o in 'images','labels': (tmp_path/o/part).rename(tmp_path/'set'/part/o)
    (tmp_path/'set/data.yaml').write_text('names: [sky, a, b, c, d, e, f]\n')
    with pytest.warns(UserWarning, match='tested on .*valid'): t = masks(f'masks:{tmp_path}/set/train/images,{tmp_path}/set/train/labels')
    assert len(t.x_train)==len(t.x_test)==6 and t.classes[0]=='sky' and t.background is None

def test_classes_that_a_part_lacks_are_named(tmp_path):
    halves(tmp_path)
    for p in (tmp_path/'labels/train').iterdir():
        y = np.array(Image.open(p))
        Image.fromarray(np.where(y==1, 0, y)).save(p)
    assert 'no training pixel of 1, which test has' in messages(tmp_path)[1]

# Images

def test_images_keep_no_more_than_the_limit(folders):
    x = Images(sorted((folders/'images').iterdir()), limit=5*3*32*32)
    for i in torch.randint(0, 20, (200,), generator=gen()): assert (x[i]==Images(x.paths)[i]).all()
    assert len(x.kept)==5 and x.held==5*3*32*32
    none = Images(x.paths, limit=10)
    assert none[3].shape==(3, 32, 32) and not none.kept
    with pytest.raises(IndexError): x[20]
    assert len([*x])==20

# Crops

def crops(t, n=3, seed=0, ids=range(30), bs=8, **kw): return Crops(t.x_train, t.y_train, ids, bs, n, gen(seed), **kw)

def test_crops_repeat_and_resume():
    t = scenes()
    a,b = [*crops(t)],[*crops(t)]
    assert all((p==q).all() for i,j in zip(a, b) for p,q in zip(i, j)) and len(a)==3
    assert not (a[0][0]==next(iter(crops(t, seed=1)))[0]).all()
    x,y = a[0]
    assert x.shape==(8, 3, 65, 65) and x.dtype==torch.float32 and y.shape==(8, 65, 65) and y.dtype==torch.int64 and 0<=x.min() and x.max()<=255
    c,d = crops(t),crops(t, seed=5)
    next(iter(c))
    d.load_state_dict(c.state_dict())
    assert len(d)==2 and (next(iter(d))[0]==a[1][0]).all()

def test_crops_see_every_item_equally_often():
    t = scenes()
    key = {t.x_train[i].sum().item(): i for i in range(3)}
    seen = [key[int(o.sum())] for x,_ in crops(t, 6, ids=range(3), bs=8, size=96, scale=False, flip=False) for o in x]
    assert np.bincount(seen).tolist()==[16]*3

def test_crops_of_files_equal_crops_of_tensors(folders):
    x,y = (Images(sorted((folders/o).iterdir()), lut=lut) for o,lut in (('images', None), ('labels', np.arange(256, dtype=np.uint8))))
    a = Crops(x, y, range(20), 8, 2, gen(), size=40)
    b = Crops(torch.stack([*x]), torch.stack([*y]), range(20), 8, 2, gen(), size=40)
    for p,q in zip(a, b): assert (p[0]==q[0]).all() and (p[1]==q[1]).all()

def test_crops_of_different_sizes():
    sizes = [(40, 60), (60, 40), (96, 96), (33, 20)]
    x,y = zip(*[scene(i, size=s) for i,s in enumerate(sizes)])
    x,y = [torch.from_numpy(o).permute(2, 0, 1) for o in x],[torch.from_numpy(o) for o in y]
    for fx,fy in Crops(x, y, range(4), 4, 3, gen(), size=50, scale=False, flip=False, fill=(7, 8, 9)):
        for a,b in zip(fx, fy):
            pad = (a==torch.tensor([7., 8, 9])[:,None,None]).all(0)
            assert (b[pad]==255).all()
    one = next(iter(Crops(x, y, [3], 1, 1, gen(), size=50, scale=False, flip=False)))
    assert (one[0][0,:,:33,:20]==x[3]).all() and (one[1][0,:33,:20]==y[3]).all()

@pytest.mark.parametrize('k', [5, 6, 9, 12, 15])
def test_crop_at_a_scale_is_interpolation(k):
    t,n = scenes(),round(96*k/10)
    c = crops(t, size=n)
    q = ((torch.arange(n)+.5)*96/n)[None].double()
    x,y = c._cut(t.x_train[:1], t.y_train[:1], q, q)
    assert (x-F.interpolate(t.x_train[:1].float(), (n, n), mode='bilinear')).abs().max()<1e-2
    same = y==F.interpolate(t.y_train[:1,None].float(), (n, n), mode='nearest-exact')[:,0].long()
    assert same.float().mean()>.999

def test_scale_range():
    t = scenes()
    r,_ = crops(t)._draw([(96, 96)]*2000)
    k = 1/(r[:,1]-r[:,0])
    assert k.min()==pytest.approx(.5) and k.max()==pytest.approx(1.5) and len(k.round(decimals=2).unique())==11
    assert (r[:,0]>=0).all()
