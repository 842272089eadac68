"Forms of other people's data in which a second reader found wrong numbers without a word: each is right now, or one line"
import io,warnings

import numpy as np, pytest, tifffile
from PIL import Image

from deep_al_illusions.core import InputError
from deep_al_illusions.data import load_task
from deep_al_illusions.decode import Shown, picture, turned
from deep_al_illusions.layouts import part_of

rng = np.random.default_rng(0)
c8 = rng.integers(0, 256, (10, 14, 3), dtype=np.uint8)
c16,grey = c8.astype(np.uint16)*257,c8[...,0]

def tiff(a, **kw):
    b = io.BytesIO()
    tifffile.imwrite(b, a, **kw)
    return b.getvalue()

def png(a, **kw):
    b = io.BytesIO()
    Image.fromarray(a).save(b, 'PNG', **kw)
    return b.getvalue()

# Pictures

@pytest.mark.parametrize('way', range(1, 9))
@pytest.mark.parametrize('a', [c8, c16, (c8/255).astype(np.float32)], ids=['8', '16', 'float'])
def test_tiffs_of_every_depth_are_turned_once(a, way):
    back = {6: 8, 8: 6}.get(way, way)
    data = tiff(np.ascontiguousarray(turned(a, back)), photometric='rgb', extratags=[(274, 'H', 1, way, True)])
    assert (picture(data)==c8).all()

infrared = np.concatenate([c16, 65535-c16[...,:1]], 2)
opaque = np.concatenate([c16, np.full_like(c16[...,:1], 65535)], 2)

@pytest.mark.parametrize('data,want', [(tiff(infrared, photometric='rgb', extrasamples=[0]), c8), (tiff(opaque, photometric='rgb', extrasamples=['unassalpha']), c8),
    (tiff(c8.transpose(2, 0, 1).copy(), photometric='rgb', planarconfig='separate'), c8), (tiff(255-grey, photometric='miniswhite'), grey[...,None].repeat(3, 2))])
def test_tiffs_that_can_be_shown(data, want): assert (picture(data)==want).all()

@pytest.mark.parametrize('words,data', [('0 is white', tiff(grey.astype(np.uint16)*257, photometric='miniswhite')), ('0 is white', tiff((grey/255).astype(np.float32), photometric='miniswhite')),
    ('one after another', tiff(c16.transpose(2, 0, 1).copy(), photometric='rgb', planarconfig='separate')), ('alpha channel was multiplied', tiff(opaque, photometric='rgb', extrasamples=['assocalpha'])),
    ('3 channels without', tiff(c8, photometric='minisblack', planarconfig='contig')), ('bytes with a sign', tiff(grey.astype(np.int8), photometric='minisblack')), ('range=', tiff(grey.astype(np.uint32)*16843009))])
def test_tiffs_that_nobody_would_see_alike(words, data):
    with pytest.raises(InputError, match=words) as e: picture(data)
    assert '\n' not in str(e.value)

def test_a_range_means_what_is_stored():
    deep = (grey.astype(np.uint16)*16).byteswap().tobytes()
    assert (picture(b'P5 # of a sensor\n14 10 4080\n'+deep)==grey[...,None]).all()
    with pytest.raises(InputError, match='holds 0..4080, which is scaled'): picture(b'P5 14 10 4080\n'+deep, Shown((0, 4080)))
    assert (picture(tiff(grey.astype(np.uint32)*16843009), Shown((0, 2**32-1)))==grey[...,None]).all()
    half = np.full((8, 8, 4), 16, np.uint8)
    half[...,3] = 128
    assert (picture(png(half), Shown((0, 63)))==round(16/63*255*128/255+255*127/255)).all()

def test_a_keyed_grey_of_16_bits():
    a = np.array([[0, 5000], [5000, 65535]], np.uint16)
    assert picture(png(a, transparency=5000), Shown(matte='black'))[...,0].tolist()==[[0, 0], [0, 255]]

# Label maps

n,size = 10,32
yy,xx = np.mgrid[:size,:size]
disc = [(yy-12-i%4)**2+(xx-14)**2<50 for i in range(n)]
square = [(abs(yy-22)<5)&(abs(xx-24+i%3)<5) for i in range(n)]
three = [np.where(s, 2, d.astype(int)) for d,s in zip(disc, square)]

def label_set(root, maps, **files):
    for o in 'images','labels': (root/o).mkdir(parents=True)
    for i,m in enumerate(maps):
        Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(root/f'images/{i}.png')
        m = m if isinstance(m, Image.Image) else Image.fromarray(np.asarray(m).astype(np.uint8))
        m.save(root/f'labels/{i}.png')
    for name,text in files.items(): (root/name.replace('__', '.')).write_text(text)
    return f'masks:{root}/images,{root}/labels'

def pixels_of(task):
    "Pixels of each class by its name, void apart"
    n = np.bincount(np.concatenate([y[i].numpy().ravel() for y in (task.y_train, task.y_test) for i in range(len(y))]), minlength=256)
    return dict(zip(task.classes, n.tolist()))|dict(void=int(n[255]))

def loaded(name):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return load_task(name)

true = dict(background=int(sum((m==0).sum() for m in three)), disc=int(sum((m==1).sum() for m in three)), square=int(sum((m==2).sum() for m in three)), void=0)

@pytest.mark.parametrize('files', [{}, dict(classes__txt='background\ndisc\n')])
def test_binary_maps_of_two_tools(tmp_path, files):
    with pytest.raises(InputError, match='5 of 10 label maps hold 0 and 255 alone'): loaded(label_set(tmp_path/'a', [d*(255 if i%2 else 1) for i,d in enumerate(disc)], **files))
    some = [Image.fromarray(d) if i%2 else d*255 for i,d in enumerate(disc)]
    with pytest.raises(InputError, match='hold 0 and 255 alone'): loaded(label_set(tmp_path/'b', some, **files))

def test_a_few_stray_pixels_do_not_turn_the_object_into_void(tmp_path):
    maps = [d*255 for d in disc]
    maps[3][0,:3] = 1
    with pytest.raises(InputError, match='is it an object or void'): loaded(label_set(tmp_path/'a', maps))
    stated = loaded(label_set(tmp_path/'b', maps, classes__txt='0,background\n1,dust\n255,disc\n'))
    assert pixels_of(stated)['disc']==true['disc']+sum(int((d&s).sum()) for d,s in zip(disc, square))

headed = ['class_index,class_name\n0,background\n1,disc\n2,square', 'Class,Name\n0,background\n1,disc\n2,square', 'grayscale,class\n0,background\n1,disc\n2,square',
    'name,code\nbackground,0\ndisc,1\nsquare,2', '"2","square"\n"0","background"\n"1","disc"', 'name\nbackground\ndisc\nsquare', 'name,train_id,r,g,b\nsquare,2,0,0,9\nbackground,0,0,0,0\ndisc,1,9,0,0']
lined = ['id name\n0 background\n1 disc\n2 square', 'Classes\nbackground\ndisc\nsquare', 'square 2\nbackground 0\ndisc 1', 'background (0)\nsquare (2)\ndisc (1)', '{0: background, 2: square, 1: disc}',
    'names:\n  0: background\n  2: square\n  1: disc']

@pytest.mark.parametrize('name,text', [('classes.csv', o) for o in headed]+[('classes.txt', o) for o in lined]+[('Classes.txt', 'background\ndisc\nsquare')])
def test_lists_with_a_header_or_in_another_order(tmp_path, name, text):
    task = loaded(label_set(tmp_path/'a', three, **{name.replace('.', '__'): text}))
    assert pixels_of(task)==true and task.classes[task.background]=='background'

def test_one_odd_line_is_not_a_class(tmp_path):
    with pytest.raises(InputError, match="classes.txt: the line 'Total' is not like the others"):
        loaded(label_set(tmp_path/'a', three, classes__txt='2: square\n0: background\n1: disc\nTotal'))

def test_greys_of_a_list_are_colours(tmp_path):
    two = dict(background=true['background'], void=0)
    road = [np.where(m>0, 255, 0) for m in three]
    for i,m in enumerate((road, [Image.fromarray(np.stack([o]*3, 2).astype(np.uint8)) for o in road])):
        task = loaded(label_set(tmp_path/str(i), m, class_dict__csv='name,r,g,b\nroad,255,255,255\nbackground,0,0,0'))
        assert pixels_of(task)==two|dict(road=true['disc']+true['square']) and task.classes[task.background]=='background'
    steps = [np.array([0, 255, 128])[m] for m in three]
    table = 'name,r,g,b\nsquare,128,128,128\nbackground,0,0,0\ndisc,255,255,255'
    assert pixels_of(loaded(label_set(tmp_path/'c', steps, class_dict__csv=table)))==true
    table = 'name,r,g,b\nbackground,0,0,0\nsquare,2,2,2\ndisc,1,1,1'
    assert pixels_of(loaded(label_set(tmp_path/'d', three, class_dict__csv=table)))==true

def test_a_palette_in_another_order_with_void(tmp_path):
    colours = np.zeros((256, 3), np.uint8)
    colours[[1, 2, 255]] = [255, 0, 0],[0, 255, 0],[224, 224, 192]
    maps = []
    for m in three:
        m = m.copy()
        m[0] = 255
        im = Image.fromarray(m.astype(np.uint8), 'P')
        im.putpalette(colours.tobytes())
        maps.append(im)
    task = loaded(label_set(tmp_path/'a', maps, class_dict__csv='name,r,g,b\nbackground,0,0,0\nsquare,0,255,0\ndisc,255,0,0'))
    got = pixels_of(task)
    assert (got['disc'], got['square'], got['void'])==(true['disc'], true['square'], n*size)

def test_void_of_16_bits_beside_a_numbered_list(tmp_path):
    maps = [m.astype(np.int32).copy() for m in three]
    for m in maps: m[0] = 65535
    ims = [Image.fromarray(m.astype(np.uint16)) for m in maps]
    assert pixels_of(loaded(label_set(tmp_path/'a', ims, classes__txt='0 background\n1 disc\n2 square')))['void']==n*size
    ims = [Image.fromarray((m*257).astype(np.uint16)) for m in three]
    assert pixels_of(loaded(label_set(tmp_path/'b', ims, classes__txt='0 background\n1 disc\n2 square')))==true

def test_black_and_one_other_colour_are_a_background_and_an_object(tmp_path):
    task = loaded(label_set(tmp_path/'a', [Image.fromarray((d[...,None]*[0, 128, 0]).astype(np.uint8)) for d in disc]))
    assert len(task.classes)==2 and task.background==0

def test_a_label_map_that_readers_scale(tmp_path):
    name = label_set(tmp_path/'a', three)
    for i,m in enumerate(three):
        (tmp_path/f'a/labels/{i}.png').unlink()
        (tmp_path/f'a/labels/{i}.pgm').write_bytes(b'P5 32 32 5\n'+m.astype(np.uint8).tobytes())
    with pytest.raises(InputError, match='holds 0..5, which readers scale'): loaded(name)

# Where things lie

def test_names_of_parts():
    for o in 'train train2017 seg_train train_images 1._train Training-Set data/train trainset'.split(): assert part_of(o.rpartition('/')[2])=='train', o
    for o in 'trains', 'train station', 'bullet_train', 'testis', 'images', '2017', 'set': assert part_of(o) is None, o

def photographs(folder, ids, save='png'):
    folder.mkdir(parents=True, exist_ok=True)
    for i in ids: Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder/f'{i}.{save}')

@pytest.mark.parametrize('parts', [('seg_train', 'seg_test'), ('train2017', 'val2017'), ('train_images', 'test_images'), ('1. train', '2. test')])
def test_parts_by_longer_names_are_no_classes(tmp_path, parts):
    for k,part in enumerate(parts):
        for j,c in enumerate('xy'): photographs(tmp_path/part/c, range(100*k+10*j, 100*k+10*j+5+k))
    task = loaded(f'folder:{tmp_path}')
    assert (task.classes, len(task.x_train), len(task.x_test))==(['x', 'y'], 10, 12)

def test_folders_that_look_like_parts_are_not_taken_for_classes(tmp_path):
    for k,o in enumerate(('chest_train_a', 'chest_test_a')): photographs(tmp_path/o, range(10*k, 10*k+5))
    with pytest.raises(InputError, match='look like parts of a set'): loaded(f'folder:{tmp_path}')

def test_a_class_called_like_a_part(tmp_path):
    for k,o in enumerate(('bus', 'car', 'train')): photographs(tmp_path/o, range(10*k, 10*k+6))
    assert loaded(f'folder:{tmp_path}').classes==['bus', 'car', 'train']

def test_label_maps_among_the_pictures_of_a_class(tmp_path):
    for k,c in enumerate(('covid', 'normal')):
        for j,o in enumerate(('images', 'masks')): photographs(tmp_path/'a'/c/o, range(100*k+10*j, 100*k+10*j+6))
        photographs(tmp_path/'b'/c, range(100*k, 100*k+6))
        for i in range(100*k, 100*k+6): Image.new('L', (16, 16), i%2).save(tmp_path/f'b/{c}/{i}_mask.png')
        photographs(tmp_path/'c'/c.replace('covid', 'mask'), range(100*k, 100*k+6))
    for o in 'ab':
        with pytest.raises(InputError, match='look like label maps of others'): loaded(f'folder:{tmp_path}/{o}')
    assert loaded(f'folder:{tmp_path}/c').classes==['mask', 'normal']

def two_parts(root, save='png', **kw):
    for k,part in enumerate(('train', 'val')):
        photographs(root/f'images/{part}', range(100*k, 100*k+5+k), save)
        (root/f'labels/{part}').mkdir(parents=True)
        for i in range(100*k, 100*k+5+k): Image.fromarray(three[i%10][:16,:16].astype(np.uint8)+(i%2)).save(root/f'labels/{part}/{i}.png')
    return f'masks:{root}/images/train,{root}/labels/train'

def test_a_list_above_the_parts_and_paths_from_here(tmp_path, monkeypatch):
    name = two_parts(tmp_path/'a')
    (tmp_path/'a/classes.txt').write_text('background\ndisc\nsquare\ntop\n')
    task = loaded(name)
    assert task.classes==['background', 'disc', 'square', 'top'] and (len(task.x_train), len(task.x_test))==(5, 6)
    monkeypatch.chdir(tmp_path/'a/images')
    assert len(loaded(f'masks:train,{tmp_path}/a/labels/train').x_test)==6

def test_a_folder_above_that_is_called_like_a_part(tmp_path):
    task = loaded(label_set(tmp_path/'dev/project', three))
    assert len(task.x_train)+len(task.x_test)==n

def test_a_photograph_saved_anew_is_the_same(tmp_path):
    root = tmp_path/'a'
    name = two_parts(root, 'jpg')
    for f in (root/'images/val').iterdir(): f.unlink()
    for i,old in enumerate(sorted((root/'images/train').iterdir())):
        if i%2: Image.open(old).save(root/f'images/val/{100+i}.png')
        else: (root/f'images/val/{100+i}.jpg').write_bytes(old.read_bytes()[:2]+b'\xff\xfe\0\6note'+old.read_bytes()[2:])
    (root/'labels/val/105.png').unlink()
    with pytest.raises(InputError, match='all 5 test photographs are in the pool too'): loaded(name)

def test_a_random_fifth_is_said(tmp_path):
    with pytest.warns(UserWarning, match='2 of 10 photographs, by their names, are for testing'): load_task(label_set(tmp_path/'a', three))

# Arrays

def archive(path, y, classes, n=24):
    x = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    np.savez(path, x_train=x, y_train=y, x_test=255-x, y_test=y, classes=classes)
    return f'npz:{path}'

def test_labels_that_may_count_from_0_or_from_1(tmp_path):
    with pytest.raises(InputError, match='counted from 0 nothing is a, counted from 1 nothing is e'): loaded(archive(tmp_path/'a.npz', np.arange(24)%4+1, list('abcde')))
    task = loaded(archive(tmp_path/'b.npz', np.arange(24)%4*10+10, [10, 20, 30, 40]))
    assert task.classes==['10', '20', '30', '40'] and task.y_train.tolist()==(np.arange(24)%4).tolist()
    with pytest.raises(InputError, match='the class called 0 or the first one'): loaded(archive(tmp_path/'c.npz', np.arange(24)%3, ['2', '0', '1']))
    with pytest.warns(UserWarning, match='no picture anywhere is of 1 of the 4 classes'): load_task(archive(tmp_path/'d.npz', np.arange(24)%3, list('abcd')))

@pytest.mark.parametrize('path', ['~nobody-of-that-name/x', 'x'*5000])
def test_paths_that_cannot_be(path):
    with pytest.raises(InputError, match='no such file or folder'): load_task(f'folder:{path}')

def test_folders_the_wrong_way_round(tmp_path):
    name = label_set(tmp_path/'a', three)
    with pytest.raises(InputError, match='wrong way round'): loaded(','.join(['masks:'+name.partition(',')[2], name.partition(',')[0][6:]]))

def test_pictures_for_testing_that_are_in_no_class(tmp_path):
    for k,c in enumerate('ab'):
        photographs(tmp_path/'train'/c, range(10*k, 10*k+5))
        (tmp_path/'test'/c).mkdir(parents=True)
    photographs(tmp_path/'test', range(50, 57))
    with pytest.raises(InputError, match='its 7 pictures are in no class'): loaded(f'folder:{tmp_path}')
