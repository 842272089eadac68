"Pictures, arrays and folders in the forms that people have: shown as a viewer shows them, or refused in one line"
import io,unicodedata,warnings

import cv2, numpy as np, pytest, tifffile, torch
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from deep_al_illusions.study.basics import InputError
from deep_al_illusions.tasks.named import load_task
from deep_al_illusions.tasks.tones import check_range,Shown
from deep_al_illusions.tasks.decode import picture
from deep_al_illusions.tasks.files import files_in,pictures_in
from deep_al_illusions.tasks.layouts import parts_of,split_folders
from deep_al_illusions.tasks.pairs import matches,paired

rng = np.random.default_rng(0)
ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
grey = ramp[..., None].repeat(3, 2)
colour = rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)

def encoded(im, fmt, **kw):
    out = io.BytesIO()
    im.save(out, fmt, **kw)
    return out.getvalue()

def by_tifffile(a, **kw):
    out = io.BytesIO()
    tifffile.imwrite(out, a, **kw)
    return out.getvalue()

def by_opencv(a, ending): return cv2.imencode(ending, a)[1].tobytes()

def told(f, *args, **kw):
    "The result, and the notes that came with it"
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter('always')
        res = f(*args, **kw)
    return res,[str(o.message) for o in w]

def refused(words, f, *args, **kw):
    with warnings.catch_warnings(), pytest.raises(InputError, match=words) as e:
        warnings.simplefilter('ignore')
        f(*args, **kw)
    assert '\n' not in str(e.value)

# One picture

def four_grey_levels():
    p = Image.fromarray(ramp//64, 'P')
    p.putpalette([0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255])
    return p

def with_alpha(colours, alpha): return Image.fromarray(np.dstack([colours, alpha]).astype(np.uint8))

# chkstyle: ignore-node
forms = {
    '16-bit grey PNG': lambda: encoded(Image.fromarray(ramp.astype(np.uint16)*257), 'PNG'),
    '16-bit grey TIFF, big endian': lambda: by_tifffile((ramp.astype(np.uint16)*257), byteorder='>'),
    '16-bit colour PNG': lambda: by_opencv(grey.astype(np.uint16)*257, '.png'),
    '16-bit colour TIFF': lambda: by_tifffile(grey.astype(np.uint16)*257, photometric='rgb'),
    '16-bit colour PNG with alpha': lambda: by_opencv(np.dstack([grey, np.full((16, 16), 255)]).astype(np.uint16)*257, '.png'),
    'float TIFF': lambda: by_tifffile((ramp/255).astype(np.float32)),
    'float colour TIFF': lambda: by_tifffile((grey/255).astype(np.float32), photometric='rgb'),
    'double TIFF': lambda: by_tifffile(ramp/255),
    'shape in the alpha channel': lambda: encoded(with_alpha(grey*0, 255-ramp), 'PNG'),
    'grey and alpha': lambda: encoded(with_alpha(grey*0, 255-ramp).convert('LA'), 'PNG'),
    'opaque alpha': lambda: encoded(with_alpha(grey, ramp*0+255), 'PNG'),
    'compressed TIFF': lambda: encoded(Image.fromarray(grey), 'TIFF', compression='tiff_lzw'),
    'lossless WebP': lambda: encoded(Image.fromarray(grey), 'WEBP', lossless=True),
    'BMP': lambda: encoded(Image.fromarray(grey), 'BMP'),
    'PPM': lambda: encoded(Image.fromarray(grey), 'PPM'),
    'palette of 256 greys': lambda: encoded(Image.fromarray(ramp).convert('P'), 'PNG')}

@pytest.mark.parametrize('form', forms)
def test_one_ramp_in_every_form(form): assert (picture(forms[form]())==grey).all()

def test_few_bits_are_shown_as_greys():
    want = (ramp//64*85)[..., None].repeat(3, 2)
    assert (picture(encoded(four_grey_levels(), 'PNG', bits=2))==want).all()
    assert (picture(encoded(Image.fromarray(ramp>127), 'PNG'))[..., 0]==(ramp>127)*255).all()

@pytest.mark.parametrize('way', range(1, 9))
@pytest.mark.parametrize('fmt', ['PNG', 'JPEG', 'WEBP', 'TIFF'])
def test_every_orientation_in_every_format(way, fmt):
    exif = Image.Exif()
    exif[274] = way
    data = encoded(Image.fromarray(colour), fmt, exif=exif, **(dict(lossless=True) if fmt=='WEBP' else dict(quality=100)))
    want = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert('RGB'))
    assert picture(data).shape==((20, 12, 3) if way>4 else (12, 20, 3)) and (picture(data)==want).all()

def test_transparent_palettes_and_keyed_colours():
    p = four_grey_levels()
    data = encoded(p, 'PNG', transparency=bytes([0, 255, 255, 255]))
    assert (picture(data)[ramp<64]==255).all() and (picture(data, Shown(matte='black'))[ramp<64]==0).all()
    keyed = encoded(Image.fromarray(grey), 'PNG', transparency=(3, 3, 3))
    assert picture(keyed)[0, 3].tolist()==[255]*3 and picture(keyed)[0, 4].tolist()==[4]*3

def test_cmyk_is_neither_negative_nor_channels_of_its_own():
    ink = Image.fromarray(grey).convert('CMYK')
    for data in encoded(ink, 'JPEG', quality=100), encoded(ink, 'TIFF'):
        assert np.abs(picture(data).astype(int)-grey).max()<8

def test_a_preview_in_a_camera_file_does_not_count():
    small = Image.fromarray(grey[:8, :8])
    mpo = encoded(Image.fromarray(grey), 'MPO', save_all=True, append_images=[small], quality=100)
    assert picture(mpo).shape==(16, 16, 3)
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as t:
        t.write(ramp)
        t.write(ramp[::2, ::2].copy(), subfiletype=1)
    assert (picture(out.getvalue())==grey).all()

def test_a_range_is_applied_to_every_depth():
    how = Shown((400, 400+255*14))
    deep = encoded(Image.fromarray((400+ramp.astype(np.uint16)*14)), 'PNG')
    assert (picture(deep, how)==grey).all()
    assert (picture(by_tifffile((400+ramp*14.).astype(np.float32)), how)==grey).all()
    assert (picture(encoded(Image.fromarray(ramp//4), 'PNG'), Shown((0, 63)))[..., 0]==(ramp//4/63*255).round()).all()

films = dict(GIF=[Image.fromarray(o) for o in (ramp, 255-ramp)], PNG=[Image.fromarray(o) for o in (ramp, 255-ramp)],
    WEBP=[Image.fromarray(o) for o in (grey, 255-grey)], TIFF=[Image.fromarray(o) for o in (ramp, 255-ramp)])

@pytest.mark.parametrize('fmt', films)
def test_several_frames_are_refused(fmt):
    first,*more = films[fmt]
    refused('has 2 frames', picture, encoded(first, fmt, save_all=True, append_images=more))

# chkstyle: ignore-node
@pytest.mark.parametrize('data,words', [
    (b'', 'is empty'), (b'\0'*99, 'is empty'), (b'<svg xmlns="x">', 'SVG'), (b'<!DOCTYPE html>', 'a web page'), (b'%PDF-1.4', 'PDF'),
    (b'version https://git-lfs.github.com/spec/v1', 'Git LFS'), (b'\0\0\0\x18ftypheic\0\0\0\0', 'HEIC'), (bytes(128)+b'DICM1', 'DICOM'),
    (b'\0\x05\x16\x07\0\x02\0\0Mac OS X', 'macOS'), (b'hello', 'no picture'), (encoded(Image.fromarray(grey), 'PNG')[:60], 'cannot be read'),
    (by_tifffile(ramp.astype(np.float32)), 'range=0,255'), (by_tifffile(ramp.astype(np.int32)*1000), 'range=0,255000'),
    (by_tifffile(np.full((8, 8), np.nan, np.float32)), 'no numbers'), (by_tifffile(ramp.astype(np.int16)-3), 'range=-3,252')])
def test_what_cannot_be_shown_is_refused_in_one_line(data, words): refused(words, picture, data)

def test_little_of_the_range_is_refused_for_the_set_as_a_whole():
    seen = []
    for o in 400, 3000: picture(encoded(Image.fromarray(np.full((8, 8), o, np.uint16)), 'PNG'), seen=seen)
    refused('fill 400..3000 of 0..65535 .*range=400,3000', check_range, seen, 'folder:x')
    picture(encoded(Image.fromarray(np.full((8, 8), 60000, np.uint16)), 'PNG'), seen=seen)
    check_range(seen, 'folder:x')

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))

@few
@given(a=hnp.arrays(np.uint8, shapes), way=st.integers(1, 8), fmt=st.sampled_from(['PNG', 'TIFF', 'BMP', 'PPM']))
def test_any_grey_picture_comes_back_turned_as_its_tag_says(a, way, fmt):
    exif = Image.Exif()
    exif[274] = way
    kw = dict(exif=exif) if fmt in ('PNG', 'TIFF') else {}
    data = encoded(Image.fromarray(a), fmt, **kw)
    want = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert (picture(data)==want[..., None]).all()

@few
@given(a=hnp.arrays(np.uint16, shapes), fmt=st.sampled_from(['PNG', 'TIFF']))
def test_any_16_bits_are_divided_by_257(a, fmt):
    assert (picture(encoded(Image.fromarray(a), fmt))[..., 0]==np.rint(a/257)).all()

@few
@given(a=hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))), matte=st.sampled_from(['white', 'black']))
def test_any_alpha_is_laid_over_the_matte(a, matte):
    behind = Image.new('RGBA', a.shape[1::-1], matte)
    want = np.array(Image.alpha_composite(behind, Image.fromarray(a)).convert('RGB')).astype(int)
    assert np.abs(picture(encoded(Image.fromarray(a), 'PNG'), Shown(matte=matte))-want).max()<=1

@few
@given(data=st.binary(max_size=200), head=st.sampled_from([b'', b'\x89PNG\r\n\x1a\n', b'GIF89a', b'II*\0', b'\xff\xd8\xff\xe0', b'BM']))
def test_no_bytes_end_in_another_error(data, head):
    try: a = picture(head+data)
    except InputError as e: assert '\n' not in str(e)
    else: assert a.dtype==np.uint8 and a.ndim==3

# Files of a folder

def put(root, *names, data=None):
    for i,o in enumerate(names):
        p = root/o
        p.parent.mkdir(parents=True, exist_ok=True)
        if data is not None: p.write_bytes(data)
        else: Image.fromarray(rng.integers(0, 256, (9, 10, 3), dtype=np.uint8)).save(p, 'PNG')

@pytest.mark.parametrize('name', '.hidden.png ._1.png .ipynb_checkpoints/1.png @eaDir/1.png __MACOSX/1.png .Trash/1.png #recycle/1.png Thumbs.db'.split())
def test_what_systems_leave_behind_is_no_data(tmp_path, name):
    put(tmp_path, '1.png', name)
    assert [o.name for o in files_in(tmp_path)]==['1.png']

def test_links_are_followed_but_not_in_circles(tmp_path):
    put(tmp_path, 'set/a/1.png', 'else/2.png', 'far/deep/3.png')
    (tmp_path/'set/b').symlink_to(tmp_path/'else')
    (tmp_path/'set/a/up').symlink_to(tmp_path/'set')
    (tmp_path/'else/more').symlink_to(tmp_path/'far')
    (tmp_path/'far/back').symlink_to(tmp_path/'else')
    assert sorted({o.name for o in files_in(tmp_path/'set')})==['1.png', '2.png', '3.png']
    (tmp_path/'set/gone.png').symlink_to(tmp_path/'nothing')
    assert '1 links that lead nowhere' in told(pictures_in, tmp_path/'set', 'x')[1][0]

# chkstyle: ignore-node
@pytest.mark.parametrize('name,used', [('1.JPG', True), ('1.jpe', True), ('1.jfif', True), ('1', True), ('1.0', True), ('scan.001', True), ('1.image', True),
    ('1.png~', False), ('1.jpg.part', False), ('1.crdownload', False), ('1.bak', False)])
def test_endings(tmp_path, name, used):
    put(tmp_path, '0.png', name)
    found,notes = told(pictures_in, tmp_path, 'x')
    assert ((tmp_path/name) in found)==used and bool(notes)!=used

def test_pictures_that_cannot_be_read_are_no_small_print(tmp_path):
    put(tmp_path, '0.png')
    put(tmp_path, '1.heic', '2.HEIC', '3.nef', data=b'x')
    refused('3 of 4 files .*2 .heic, 1 .nef', pictures_in, tmp_path, 'x')

@pytest.mark.parametrize('names', ['train test', 'Train VAL', 'training validation', 'train_set test-set', 'training_set test_set', 'trainset dev', 'TRAIN eval'])
def test_parts_by_other_names(tmp_path, names):
    for o in names.split(): (tmp_path/o).mkdir()
    assert sorted(parts_of(tmp_path).items())[-2][1].name.lower()[:5]=='train' or 'train' in parts_of(tmp_path)
    assert len(parts_of(tmp_path))==2

# Pairs

# chkstyle: ignore-node
pairs = {
    'the same names': ('{0}.jpg', '{0}.png'), 'an ending': ('{0}.jpg', '{0}_mask.png'), 'two endings': ('{0}_sat.jpg', '{0}_mask.png'), 'a beginning': ('img_{0}.png', 'mask_{0}.png'),
    'Cityscapes': ('aachen/aachen_{0}_leftImg8bit.png', 'aachen/aachen_{0}_gtFine_labelIds.png'), 'CamVid': ('{0}.png', '{0}_L.png'), 'a dot': ('{0}.jpg', '{0}.mask.png'),
    'ISIC': ('ISIC_{0}.jpg', 'ISIC_{0}_segmentation.png'), 'ending of several words': ('{0}.jpg', '{0}-ground-truth.png'), 'another case of the ending': ('{0}.JPG', '{0}.PNG')}

@pytest.mark.parametrize('case', pairs)
def test_names_that_prove_a_pair(tmp_path, case):
    x,y = pairs[case]
    keys = ['07', '11', '12', '43']
    put(tmp_path, *(f'images/{x.format(k)}' for k in keys), *(f'labels/{y.format(k)}' for k in keys))
    found,_ = told(paired, tmp_path/'images', tmp_path/'labels', 'masks:x')
    assert [(a.relative_to(tmp_path/'images').as_posix(), b.relative_to(tmp_path/'labels').as_posix()) for a,b in found]==[(x.format(k), y.format(k)) for k in keys]

# chkstyle: ignore-node
@pytest.mark.parametrize('images,labels,words', [
    ('1.jpg 1.png 2.jpg', '1.png 2.png', '1.jpg and 1.png .*the same name'), ('1.jpg 2.jpg', '1.png 1.tif 2.png', '1.png and 1.tif'), ('a.jpg b.jpg', 'c.png d.png', '2 of 2 label maps'),
    ('1.jpg 2.jpg', '1_a.png 1_b.png 2_a.png 2_b.png', '2 label maps for each photograph'), ('1.jpg 2.jpg', '1.png 2.png 3.png', '1 of 3 label maps .*first 3.png'),
    ('a_b.jpg a_c.jpg b_a.jpg c_a.jpg', 'b.png c.png', '2 of 2 label maps')])
def test_names_that_prove_nothing(tmp_path, images, labels, words):
    put(tmp_path, *(f'images/{o}' for o in images.split()), *(f'labels/{o}' for o in labels.split()))
    refused(words, paired, tmp_path/'images', tmp_path/'labels', 'masks:x')

def test_one_folder_for_both(tmp_path):
    put(tmp_path, *(f'both/{i}{o}' for i in range(3) for o in ('_sat.jpg', '_mask.png')))
    found,_ = told(paired, tmp_path/'both', tmp_path/'both', 'masks:x')
    assert [(a.name, b.name) for a,b in found]==[(f'{i}_sat.jpg', f'{i}_mask.png') for i in range(3)]
    put(tmp_path, *(f'plain/{i}.{o}' for i in range(3) for o in ('jpg', 'png')))
    refused('IMAGES and LABELS are one folder', paired, tmp_path/'plain', tmp_path/'plain', 'masks:x')

def test_two_unicode_forms_are_one_name(tmp_path):
    composed,apart = (unicodedata.normalize(o, 'Zürich') for o in ('NFC', 'NFD'))
    put(tmp_path, f'images/{composed}.jpg', f'labels/{apart}.png')
    assert len(told(paired, tmp_path/'images', tmp_path/'labels', 'masks:x')[0])==1
    put(tmp_path, f'images/{apart}.jpg')
    refused('the same name', paired, tmp_path/'images', tmp_path/'labels', 'masks:x')

words = st.text('ab1', min_size=1, max_size=3)
mark = st.sampled_from(['', '_mask', '_m_1', '-gt', 'x_'])

@few
# chkstyle: ignore-node
@given(keys=st.lists(words, min_size=2, max_size=6, unique=True), ends=st.tuples(mark, mark), heads=st.tuples(mark, mark), more=st.lists(words, max_size=2, unique=True))
def test_whatever_is_paired_is_the_only_way(keys, ends, heads, more):
    "Whenever one way is found, every map has a photograph of its own; and the true way is among those found"
    x = [f'/{heads[0]}{k}{ends[0]}' for k in dict.fromkeys([*keys, *more])]
    y = [f'/{heads[1]}{k}{ends[1]}' for k in keys]
    ways = matches(x, y)
    for way in ways:
        maps,photos = zip(*way)
        assert sorted(maps)==sorted(y) and len({*photos})==len(photos)
    true = {b: f'/{heads[0]}{k}{ends[0]}' for b,k in zip(y, keys)}
    joined = all(o=='' or o[0] in '_-' for o in ends) and all(o=='' or o[-1]=='_' for o in heads)
    if joined and not more: assert true in [dict(o) for o in ways]

def test_parts_beside_and_parts_within(tmp_path):
    put(tmp_path, *(f'{p}/{o}/1.png' for p in ('train', 'valid') for o in ('images', 'labels')))
    split,notes = told(split_folders, tmp_path/'train/images', tmp_path/'train/labels', 'masks:x')
    assert split['test'][0]==tmp_path/'valid/images' and 'tested on' in notes[0]
    put(tmp_path, *(f'{o}/{p}/1.png' for p in ('train', 'val', 'test') for o in ('i', 'l')))
    split,notes = told(split_folders, tmp_path/'i', tmp_path/'l', 'masks:x')
    assert split['test'][1]==tmp_path/'l/val' and 'test is not used' in notes[0]
    put(tmp_path, 'j/train/1.png', 'm/train/1.png')
    refused('of the parts .* only train', split_folders, tmp_path/'j', tmp_path/'m', 'masks:x')

# Folders and archives as tasks

def class_folder(root, parts=('train', 'test'), n=6, classes='ab'):
    put(root, *(f'{p}/{c}/{i}.png' for p in parts for c in classes for i in range(n)))
    return f'folder:{root}'

def load(name, **kw): return told(load_task, name, **kw)

def test_copies_are_told_and_can_be_dropped(tmp_path):
    name = class_folder(tmp_path/'d')
    same = (tmp_path/'d/train/a/0.png').read_bytes()
    put(tmp_path/'d', 'train/a/copy.png', 'train/b/other.png', 'test/a/leak.png', data=same)
    t,notes = load(name)
    assert len(t.x_train)==14 and [any(w in o for o in notes) for w in ('2 of 14 pictures', '1 pictures .* different labels'[:10], '1 of 13 test')]==[True]*3
    t,notes = load(name, copies='drop')
    assert len(t.x_train)==11 and len(t.x_test)==13 and 'copies are left out: 3 of 14' in notes[-1]

def test_a_test_part_that_is_train_again(tmp_path):
    name = class_folder(tmp_path/'d', ['train'])
    (tmp_path/'d/test').symlink_to(tmp_path/'d/train')
    refused('all 12 test pictures are in the pool', load_task, name)

def test_classes_that_a_part_lacks(tmp_path):
    name = class_folder(tmp_path/'d', classes='abc')
    for o in (tmp_path/'d/test/b').iterdir(): o.unlink()
    assert any('test has no picture of 1 of the 3 classes (b)' in o for o in load(name)[1])
    put(tmp_path/'d', 'test/Bee/1.png')
    refused('test has classes that train has not: Bee', load_task, name)

def test_labels_in_a_test_folder_without_classes(tmp_path):
    name = class_folder(tmp_path/'d', ['train'])
    put(tmp_path/'d', 'test/1.png', 'test/2.png')
    refused('2 files and no folders of classes', load_task, name)
    class_folder(tmp_path/'d', ['val'])
    t,notes = load(name)
    assert len(t.x_test)==12 and any('tested on val; test is not used' in o for o in notes)

def test_a_folder_of_classes_without_parts_is_split_by_content(tmp_path):
    put(tmp_path/'d', *(f'{c}/{i}.png' for c in 'ab' for i in range(10)))
    for i in range(10): (tmp_path/f'd/a/again{i}.png').write_bytes((tmp_path/f'd/a/{i}.png').read_bytes())
    t,notes = load(f'folder:{tmp_path}/d')
    train,test = ({o.numpy().tobytes() for o in x} for x in (t.x_train, t.x_test))
    assert len(test)==4 and not train&test and any('a fifth of each class' in o for o in notes)

def test_the_range_is_one_for_train_and_test(tmp_path):
    for p,k in ('train', 14),('test', 7):
        for c in 'ab':
            for i in range(4):
                (tmp_path/'d'/p/c).mkdir(parents=True, exist_ok=True)
                a = rng.integers(0, 256, (9, 9)).astype(np.uint16)*k
                Image.fromarray(a).save(tmp_path/'d'/p/c/f'{i}.png')
    refused('range=', load_task, f'folder:{tmp_path}/d')
    t,_ = load(f'folder:{tmp_path}/d', range='0,3570')
    assert t.x_train.max()>250 and t.x_test.max()<=128
    (tmp_path/'d/dataset.yaml').write_text('range: [0, 3570]\nbreaks: flip\n')
    u,_ = load(f'folder:{tmp_path}/d')
    assert u.breaks==('flip',) and torch.equal(u.x_train, t.x_train) and u.digest!=t.digest
    (tmp_path/'d/dataset.yaml').write_text('ranges: 0,4095\n')
    refused("did you mean 'range'", load_task, f'folder:{tmp_path}/d')

def test_white_shapes_on_nothing_are_named(tmp_path):
    for p in 'train','test':
        for c in 'ab':
            for i in range(3):
                (tmp_path/'d'/p/c).mkdir(parents=True, exist_ok=True)
                a = np.full((9, 9, 4), 255, np.uint8)
                a[..., 3] = rng.integers(0, 256, (9, 9))
                Image.fromarray(a).save(tmp_path/'d'/p/c/f'{i}.png')
    refused('every pixel of the pool is 255.*matte=black', load_task, f'folder:{tmp_path}/d')
    assert load(f'folder:{tmp_path}/d', matte='black')[0].x_train.float().std()>30

# chkstyle: ignore-node
same = {
    'float16': lambda d: {k: (v/255).astype(np.float16) if k[0]=='x' else v for k,v in d.items()}, 'int16': lambda d: d|dict(x_train=d['x_train'].astype(np.int16)),
    'big endian': lambda d: d|dict(x_train=d['x_train'].astype('>u4'), y_train=d['y_train'].astype('>i8')), '16 bits': lambda d: d|dict(x_test=d['x_test'].astype(np.uint16)*257),
    'opaque alpha': lambda d: d|dict(x_train=np.concatenate([d['x_train'], np.full((80, 8, 8, 1), 255, np.uint8)], 3)), 'one-hot': lambda d: d|dict(y_train=np.eye(4)[d['y_train']]),
    'one-hot of booleans': lambda d: d|dict(y_test=np.eye(4, dtype=bool)[d['y_test']]), '1 x N': lambda d: d|dict(y_train=d['y_train'][None]), 'whole floats': lambda d: d|dict(y_train=d['y_train']*1.),
    'names in capitals of bytes': lambda d: d|dict(y_train=np.array([b'0', b'1', b'2', b'3'])[d['y_train']], y_test=np.array(list('0123'))[d['y_test']]),
    'labels of 8 bits': lambda d: d|dict(y_train=d['y_train'].astype(np.uint8))}

@pytest.mark.parametrize('case', same)
def test_arrays_that_mean_the_same(tmp_path, arrays, case):
    np.savez(tmp_path/'a.npz', **arrays)
    np.savez(tmp_path/'b.npz', **same[case](arrays))
    a,b = (load(f'npz:{tmp_path}/{o}.npz')[0] for o in 'ab')
    assert (a.x_train.int()-b.x_train.int()).abs().max()<=1 and torch.equal(a.y_train, b.y_train) and torch.equal(a.y_test, b.y_test) and a.classes==b.classes

# chkstyle: ignore-node
wrong = {
    'scaled and cast': (lambda d: d|dict(x_train=(d['x_train']/255).round().astype(np.uint8)), 'range=0,1'), 'test scaled and cast': (lambda d: d|dict(x_test=(d['x_test']>128).astype(np.uint8)), 'x_test holds 0 and 1'),
    'standardised': (lambda d: d|dict(x_train=(d['x_train']-128.)/64), 'holds -2'), 'dark 16 bits': (lambda d: d|{k: d[k].astype(np.uint16) for k in ('x_train', 'x_test')}, 'range=0,'),
    'soft labels': (lambda d: d|dict(y_train=np.full((80, 4), .25)), 'not one-hot'), 'unlabelled': (lambda d: d|dict(y_train=np.where(np.arange(80)%3, d['y_train'], -1)), '27 of 80 labels are below 0'),
    'images last': (lambda d: d|dict(x_train=d['x_train'].transpose(1, 2, 3, 0)), r'transpose\(3, 0, 1, 2\)'), 'grey images last': (lambda d: d|dict(x_train=d['x_train'][..., 0].transpose(1, 2, 0)), r'transpose\(2, 0, 1\)'),
    'train from 1': (lambda d: d|dict(y_train=d['y_train']+1), 'train counts from 1 and test from 0'), 'names and numbers': (lambda d: d|dict(y_train=np.array(list('abcd'))[d['y_train']]), 'store both alike'),
    'names besides classes': (lambda d: d|dict(y_train=np.array(list('abcd'))[d['y_train']], y_test=np.array(list('abcd'))[d['y_test']], classes=np.array(list('abc'))), 'not in classes: d'),
    'nan': (lambda d: d|dict(x_train=np.where(d['x_train']>200, np.nan, .5)), 'no numbers'), 'no test': (lambda d: d|dict(x_test=d['x_train'], y_test=d['y_train']), 'all 80 test pictures'),
    'other capitals': (lambda d: {('X_train' if k=='x_train' else k): v for k,v in d.items()}, 'is X_train meant'), 'misspelt setting': (lambda d: d|dict(matte='grey'), 'unknown matte'), 'misspelt operation': (lambda d: d|dict(breaks='flop'), "did you mean 'flip'")}

@pytest.mark.parametrize('case', wrong)
def test_arrays_that_are_ambiguous_are_refused(tmp_path, arrays, case):
    change,words = wrong[case]
    np.savez(tmp_path/'a.npz', **change(arrays))
    refused(words, load_task, f'npz:{tmp_path}/a.npz')

def test_what_was_converted_is_said(tmp_path, arrays):
    np.savez(tmp_path/'a.npz', **arrays|dict(y_train=arrays['y_train']*7, y_test=arrays['y_test']*7, extra=np.zeros(2)))
    t,notes = load(f'npz:{tmp_path}/a.npz')
    assert t.classes==['0', '7', '14', '21'] and any('0, 7, 14, 21' in o for o in notes) and any('not read of the archive: extra' in o for o in notes)
    np.savez(tmp_path/'a.npz', **arrays|dict(y_train=arrays['y_train']+1, y_test=arrays['y_test']+1, classes=np.array(list('abcd'))))
    t,notes = load(f'npz:{tmp_path}/a.npz')
    assert t.classes==list('abcd') and t.y_train.min()==0 and any('counted from 1' in o for o in notes)

@few
@given(shift=st.integers(-50, 300), scale=st.integers(1, 9), order=st.permutations(range(4)))
def test_any_numbers_for_labels_are_names(tmp_path, arrays, shift, scale, order):
    values = np.array(order)*scale+shift
    np.savez(tmp_path/'a.npz', **arrays|{k: values[arrays[k]] for k in ('y_train', 'y_test')})
    try: t,_ = load(f'npz:{tmp_path}/a.npz')
    except InputError as e: assert values.min()<0 and 'below 0' in str(e)
    else: assert [int(t.classes[o]) for o in t.y_train]==values[arrays['y_train']].tolist()

def test_folders_with_an_at_or_a_comma_in_their_names(tmp_path):
    for o in 'photos@2023','set@64','a,b': class_folder(tmp_path/o)
    assert load(f'folder:{tmp_path}/photos@2023')[0].x_train.shape[2:]==(9, 10)
    assert load(f'folder:{tmp_path}/photos@2023@16')[0].x_train.shape[2:]==(16, 16)
    class_folder(tmp_path/'set')
    t,notes = load(f'folder:{tmp_path}/set@64')
    assert t.x_train.shape[2:]==(9, 10) and any('taken for the folder of that name' in o for o in notes)
    refused('variables such as', load_task, 'npz:$HOME/x.npz')
    refused('write the path with /', load_task, r'folder:C:\data')
