"Forms of other people's data in which a second reader found wrong numbers without a word: each is right now, or one line"
import io,struct,warnings,zlib

import numpy as np, pytest, tifffile, torch
from PIL import Image

from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import Spec
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.tasks.tones import Shown,turned
from deep_al_illusions.tasks.decode import picture
from deep_al_illusions.tasks.layouts import part_of
import deep_al_illusions.segment.regions # chkstyle: ignore

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

# What a third reader found

def said(name):
    "The task, and all that is said when it is loaded"
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter('always')
        task = load_task(name)
    return task,'\n'.join(str(o.message) for o in w)

def refuses(words, name):
    with pytest.raises(InputError, match=words) as e: loaded(name)
    assert '\n' not in str(e.value)

def of_classes(root, *folders, each=5):
    "Folders of photographs, all different"
    for k,o in enumerate(folders): photographs(root/o, range(100*k, 100*k+each))
    return f'folder:{root}'

@pytest.mark.parametrize('part', ['test', 'val', 'Test_images', 'validation'])
def test_a_flat_part_beside_classes_is_no_class(tmp_path, part): refuses('is a part and no class', of_classes(tmp_path, 'cat', 'dog', part))

@pytest.mark.parametrize('words,folders', [('masks:IMAGES,LABELS', ('images', 'masks')), ('masks:IMAGES,LABELS', ('train/input', 'train/target', 'test/input', 'test/target')),
    ('move it away', ('cat', 'dog', 'unlabeled')), ('parts come first: test/cat', ('cat/train', 'cat/test', 'dog/train', 'dog/test'))])
def test_folders_that_are_no_classes(tmp_path, words, folders): refuses(words, of_classes(tmp_path, *folders))

def test_parts_in_one_word(tmp_path):
    assert loaded(of_classes(tmp_path, *(f'{p}/{c}' for p in ('TrainData', 'TestData') for c in ('cat', 'dog')))).classes==['cat', 'dog']

def test_sources_that_hold_the_classes_are_named(tmp_path):
    assert 'site_A and site_B are taken for the classes, and each holds cat and dog' in said(of_classes(tmp_path, *(f'{p}/{c}' for p in ('site_A', 'site_B') for c in ('cat', 'dog'))))[1]

def test_what_lies_beside_the_parts_is_named(tmp_path):
    folders = [f'{p}/{c}' for p in ('train', 'test', 'train_extra') for c in ('cat', 'dog')]
    assert 'beside its parts: the folder train_extra' in said(of_classes(tmp_path, *folders))[1]

def test_lists_of_parts_are_named(tmp_path):
    name = label_set(tmp_path/'a', three)
    (tmp_path/'a/ImageSets/Segmentation').mkdir(parents=True)
    (tmp_path/'a/ImageSets/Segmentation/val.txt').write_text('1\n2\n')
    assert 'val.txt list the pictures of parts and are not read' in said(name)[1]

@pytest.mark.parametrize('list_of', ['classes.txt', '_classes.csv', 'labelmap.txt'])
def test_parts_with_lists_of_another_order(tmp_path, list_of):
    name = two_parts(tmp_path)
    lines = dict(zip(('classes.txt', '_classes.csv', 'labelmap.txt'), ('{}', '{}', '{}:{},0,0::')))[list_of]
    head = 'Pixel Value, Class\n' if 'csv' in list_of else ''
    for part,names in ('train', 'bg disc square top'),('val', 'bg square disc top'):
        rows = [f'{i}, {o}' for i,o in enumerate(names.split())] if head else [lines.format(o, 9*i) for i,o in enumerate(names.split())]
        (tmp_path/f'labels/{part}/{list_of}').write_text(head+'\n'.join(rows))
    refuses('list the classes in another way', name)

@pytest.mark.parametrize('first,names', [('title', ['title', 'text', 'list']), ('caption', ['caption', 'text', 'list'])])
def test_a_first_class_that_sounds_like_a_header(tmp_path, first, names): assert loaded(label_set(tmp_path/'a', three, classes__txt='\n'.join(names))).classes==names

def test_a_header_of_bare_names_is_said(tmp_path):
    task,told = said(label_set(tmp_path/'a', three, classes__txt='Label\nbackground\nblob\nbox'))
    assert task.classes==['background', 'blob', 'box'] and "'Label', is taken for a header" in told

with_void = [np.where(yy<2, 255, m) for m in three]

def test_a_list_that_counts_one_more_than_the_maps(tmp_path):
    refuses('COCO-Stuff', label_set(tmp_path/'a', with_void, labels__txt='0: unlabeled\n1: person\n2: bicycle\n3: car\n'))
    task = loaded(label_set(tmp_path/'b', with_void, labels__txt='0: unlabeled\n1: person\n2: bicycle\n3: car\n255: ignore\n'))
    assert pixels_of(task)['person']==true['disc']
    refuses('is 255 the class that it calls 1', label_set(tmp_path/'c', [255*(m>0) for m in three], labels__txt='0: background\n1: disc\n'))

def test_much_void_is_said(tmp_path):
    assert '% of the pixels of label maps are 255, taken for void' in said(label_set(tmp_path/'a', [np.where(yy<8, 255, m) for m in three]))[1]
    assert 'taken for void' not in said(label_set(tmp_path/'b', with_void))[1]

def test_numbers_that_may_be_those_of_objects_are_said(tmp_path):
    steps = [np.where((yy<20)&(xx//10<1+i%3), xx//10+1, 0) for i in range(12)]
    assert 'are they numbers of objects' in said(label_set(tmp_path/'a', steps))[1]
    assert 'are they numbers of objects' not in said(label_set(tmp_path/'b', three))[1]

def test_lists_in_unknown_names_are_mentioned(tmp_path):
    assert 'label_names.txt lies there and is not read' in said(label_set(tmp_path/'a', three, label_names__txt='a\nb\nc'))[1]

def test_the_list_of_another_tool_is_no_settings(tmp_path):
    name = label_set(tmp_path/'a', three)
    (tmp_path/'a/dataset.yaml').write_text('path: .\ntrain: images\nnames: [background, disc, square]\n')
    assert 'dataset.yaml has no settings of this package' in said(name)[1]
    (tmp_path/'a/dataset.yaml').write_text('path: .\nbreaks: flip\n')
    refuses('unknown setting', name)

def stored(path, x, xs, y=None, ys=None):
    y,ys = (np.arange(len(o))%3 if given is None else np.asarray(given) for o,given in ((x, y), (xs, ys)))
    np.savez(path, x_train=x, y_train=y, x_test=xs, y_test=ys)
    return f'npz:{path}'

def test_a_fourth_channel_that_is_no_transparency(tmp_path):
    x = rng.integers(0, 256, (40, 12, 12, 4), dtype=np.uint8)
    for o in x, x.transpose(0, 3, 1, 2), x/255: refuses('infrared', stored(tmp_path/'a.npz', o[:30], o[30:]))
    x[...,3] = 255*(x[...,3]>99)
    assert '% of the pixels are not opaque' in said(stored(tmp_path/'b.npz', x[:30], x[30:]))[1]

@pytest.mark.parametrize('hot', ['one', 'each', 'half'])
def test_hot_pixels_and_other_cameras_hide_nothing(tmp_path, hot):
    for k,part in enumerate(('train', 'test')):
        for c in 'ab':
            (tmp_path/part/c).mkdir(parents=True)
            for i in range(4):
                a = rng.integers(0, 65536 if hot=='half' and c=='b' else 4096, (16, 16)).astype(np.uint16)
                if hot=='each' or hot=='one' and (c,i)==('a', 0): a[3,3] = 65535
                Image.fromarray(a).save(tmp_path/part/c/f'{i}.png')
    told = said(f'folder:{tmp_path}')[1]
    assert 'nearly black' in told and ('in 8 of 16 pictures' in told)==(hot=='half'), told

def test_an_array_with_a_hot_pixel(tmp_path):
    x = rng.integers(0, 4096, (40, 12, 12)).astype(np.uint16)
    x[0,0,0] = 65535
    assert 'range=' in said(stored(tmp_path/'a.npz', x[:30], x[30:]))[1]

def test_labels_of_any_spelling(tmp_path):
    x = rng.integers(0, 256, (42, 12, 12), dtype=np.uint8)
    names = np.array([b'caf\xe9', b'caf\xe8', b'tea'])
    assert loaded(stored(tmp_path/'a.npz', x[:30], x[30:], names[np.arange(30)%3], names[np.arange(12)%3])).classes==['caf\xe8', 'caf\xe9', 'tea']
    names = np.array(['caf\xe9', 'cafe\u0301', 'tea '])
    assert loaded(stored(tmp_path/'b.npz', x[:30], x[30:], names[np.arange(30)%3], names[np.arange(12)%3])).classes==['caf\xe9', 'tea']
    assert loaded(stored(tmp_path/'c.npz', x[:30], x[30:], np.arange(30)%2*2-1, np.arange(12)%2*2.-1)).y_train.tolist()==[0, 1]*15
    refuses('labels are below 0', stored(tmp_path/'d.npz', x[:30], x[30:], np.arange(30)%3-1, np.arange(12)%3-1))

def test_floats_that_a_resize_left_beyond_1(tmp_path):
    x = rng.random((40, 12, 12))
    x[0,0,0],x[1,0,0] = 1+2e-7,-1e-9
    assert loaded(stored(tmp_path/'a.npz', x[:30], x[30:])).x_train[0,0,0,0]==255

def keyed_png(bits, key, v):
    "A PNG of a grey of few bits, one of which is transparent"
    part = lambda kind,data: struct.pack('>I', len(data))+kind+data+struct.pack('>I', zlib.crc32(kind+data))
    rows = b''.join(b'\0'+np.packbits((r[:,None]>>np.arange(bits)[::-1]&1).astype(np.uint8).ravel()).tobytes() for r in v)
    head = struct.pack('>IIBBBBB', v.shape[1], v.shape[0], bits, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n'+part(b'IHDR', head)+part(b'tRNS', struct.pack('>H', key))+part(b'IDAT', zlib.compress(rows))+part(b'IEND', b'')

@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_a_transparent_grey_of_few_bits(bits):
    v = np.full((16, 16), 1)
    v[4:12,4:12] = 0
    a = picture(keyed_png(bits, 1, v))
    assert (a[0,0]==255).all() and (a[8,8]==0).all()
    assert (picture(keyed_png(bits, 1, v), Shown(matte='black'))==0).all()

@pytest.mark.parametrize('form', ['TGA', 'BMP'])
def test_a_fourth_byte_that_nobody_filled(form):
    a = np.concatenate([c8, np.zeros_like(c8[...,:1])], 2)
    b = io.BytesIO()
    Image.fromarray(a).save(b, form)
    assert (picture(b.getvalue())==c8).all()

def test_a_smaller_copy_that_comes_first():
    b = io.BytesIO()
    with tifffile.TiffWriter(b) as w:
        w.write(c8[::2,::2], photometric='rgb', subfiletype=1)
        w.write(c8, photometric='rgb')
    with pytest.raises(InputError, match='begins with a smaller copy'): picture(b.getvalue())

def test_settings_in_a_file_of_another_case(tmp_path):
    name = label_set(tmp_path/'a', three)
    (tmp_path/'a/Dataset.YAML').write_text('breaks: Flip\n')
    assert loaded(name).breaks==('flip',)
    (tmp_path/'a/dataset.yml').write_text('breaks: none\n')
    refuses('both give settings', name)

@pytest.mark.parametrize('text,words', [('breaks: flip\nbreaks: none\n', 'breaks stands twice'), ('breaks:\n', 'breaks has no value'), ('breaks: hflip\n', "unknown operation 'hflip'")])
def test_settings_that_say_nothing_or_two_things(tmp_path, text, words):
    name = label_set(tmp_path/'a', three)
    (tmp_path/'a/dataset.yaml').write_text(text)
    refuses(words, name)

def test_a_file_of_nearly_that_name_is_mentioned(tmp_path):
    name = label_set(tmp_path/'a', three)
    (tmp_path/'a/dataset.json').write_text('{"breaks": "flip"}')
    assert 'dataset.json is not read' in said(name)[1]

@pytest.mark.parametrize('given', ['flip', 'Flip', 'FLIP', 'rotate,Flip'])
def test_no_view_of_scenes_is_mirrored_whatever_the_case(given):
    spec = Spec(task='scenes', breaks=given, augment='weak')
    task = load_task('scenes', breaks=given).at(spec)
    assert 'flip' not in task.views_in_words(spec) and not task.batches(spec, [0, 1], lambda purpose: torch.Generator()).flip

def test_names_that_differ_in_capitals_and_blanks(tmp_path):
    assert "'Cat' and 'cat ' are two classes" in said(of_classes(tmp_path, *(f'{p}/{c}' for p in ('train', 'test') for c in ('Cat', 'cat ', 'dog'))))[1]

def test_a_sweep_says_what_its_views_do_to_own_data(tmp_path):
    from deep_al_illusions.many.runner import prepare
    x = rng.integers(0, 256, (40, 12, 12), dtype=np.uint8)
    task = stored(tmp_path/'a.npz', x[:30], x[30:])
    specs = [Spec(task=task, augment=o, initial=6, per_cycle=2, cycles=1) for o in ('none', 'weak', 'weak')]
    with pytest.warns(UserWarning, match='flip.*give breaks=flip') as w: prepare(specs, tmp_path/'r')
    assert sum('breaks=flip' in str(o.message) for o in w)==1

def test_train_alone(tmp_path): refuses('no part to test on; add test/<class>/', of_classes(tmp_path, 'train/a', 'train/b'))

def test_a_part_within_a_part_of_that_name(tmp_path):
    task,told = said(of_classes(tmp_path, *(f'{p}/{p}/{c}' for p in ('seg_train', 'seg_test') for c in ('sea', 'street'))))
    assert (task.classes, len(task.x_train), len(task.x_test))==(['sea', 'street'], 10, 10) and not told, told

def test_a_single_picture_of_a_class_is_trained_on(tmp_path):
    of_classes(tmp_path, 'a', 'b')
    photographs(tmp_path/'c', [900])
    task,told = said(f'folder:{tmp_path}')
    assert (task.y_train==2).sum()==1 and 'test has no picture of 1 of the 3 classes (c)' in told

def test_arrays_in_the_names_of_medmnist(tmp_path):
    x,y = rng.integers(0, 256, (40, 12, 12), dtype=np.uint8),np.arange(40)[:,None]%3
    np.savez(tmp_path/'a.npz', train_images=x[:20], train_labels=y[:20], val_images=x[20:30], val_labels=y[20:30], test_images=x[30:], test_labels=y[30:])
    task,told = said(f'npz:{tmp_path}/a.npz')
    assert (len(task.x_train), len(task.x_test))==(20, 10) and 'not read of the archive: val_images, val_labels' in told
