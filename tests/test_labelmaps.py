"Label maps in every form that people store them in, lists of classes as tools write them, and what is refused"
import io,json,warnings

import numpy as np, pytest, torch
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra.numpy import arrays as array_of
from PIL import Image
from scipy import ndimage

from deep_al_illusions.segment.lists import entries_of,text_of
from deep_al_illusions.segment.classlists import class_list,find_classes
from deep_al_illusions.study.basics import InputError
from deep_al_illusions.segment.labelmaps import count_map,packed,plain,read_map,reading,tally
from deep_al_illusions.segment.labelmaps import unpacked
from deep_al_illusions.segment.numbers import from_names,from_numbers,noise_of
from deep_al_illusions.segment.colours import voc_colours
from deep_al_illusions.segment.labelsets import agreed
from deep_al_illusions.segment.parts import clips_of
from deep_al_illusions.segment.segdata import confusion,miou
from deep_al_illusions.segment.scenes import palette
from deep_al_illusions.segment.masks import masks

few = settings(max_examples=60, deadline=None)

def file_of(im, kind='PNG', **kw):
    b = io.BytesIO()
    im.save(b, kind, **kw)
    return b.getvalue()

def p_image(y, colours, indices=None):
    "Label map `y` as a palette image; the colour of index `indices[c]` is that of class c"
    indices = np.arange(len(colours)) if indices is None else np.asarray(indices)
    table = np.zeros((256, 3), np.uint8)
    table[indices] = colours
    im = Image.fromarray(indices[y].astype(np.uint8), 'P')
    im.putpalette(table.tobytes())
    return im

# every storage form gives the numbers back

# chkstyle: ignore-node
forms = {
    '8-bit grey': (256, lambda y: file_of(Image.fromarray(y))),
    '4-bit grey': (16, lambda y: file_of(Image.fromarray(y), bits=4)),
    '2-bit grey': (4, lambda y: file_of(Image.fromarray(y), bits=2)),
    '1-bit grey': (2, lambda y: file_of(Image.fromarray(y>0))),
    '16-bit grey': (256, lambda y: file_of(Image.fromarray(y.astype(np.uint16)))),
    'palette': (256, lambda y: file_of(p_image(y, palette))),
    '1- to 8-bit palette': (16, lambda y: file_of(p_image(y, palette[:16]), bits=4)),
    'grey with alpha': (256, lambda y: file_of(Image.fromarray(np.stack([y, y*0+255], 2), 'LA'))),
    'equal channels': (256, lambda y: file_of(Image.fromarray(np.stack([y]*3, 2)))),
    'equal channels and alpha': (256, lambda y: file_of(Image.fromarray(np.stack([y]*3+[y*0+255], 2)))),
    'BMP': (256, lambda y: file_of(Image.fromarray(y), 'BMP')),
    'BMP with a palette': (256, lambda y: file_of(p_image(y, palette), 'BMP')),
    'GIF': (256, lambda y: file_of(p_image(y, palette), 'GIF', optimize=False)),
    'TIFF': (256, lambda y: file_of(Image.fromarray(y), 'TIFF')),
    'packed TIFF': (256, lambda y: file_of(Image.fromarray(y), 'TIFF', compression='tiff_lzw')),
    '1-bit TIFF': (2, lambda y: file_of(Image.fromarray(y>0), 'TIFF')),
    '16-bit TIFF': (256, lambda y: file_of(Image.fromarray(y.astype(np.uint16)), 'TIFF')),
    '32-bit TIFF': (256, lambda y: file_of(Image.fromarray(y.astype(np.int32)), 'TIFF')),
    'float TIFF': (256, lambda y: file_of(Image.fromarray(y.astype(np.float32)), 'TIFF')),
    'lossless WebP': (256, lambda y: file_of(Image.fromarray(np.stack([y]*3, 2)), 'WEBP', lossless=True)),
    'PGM': (256, lambda y: file_of(Image.fromarray(y), 'PPM'))}

@pytest.mark.parametrize('form', forms)
@few
@given(y=array_of(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 255)))
def test_numbers_come_back_as_they_were_stored(form, y):
    n,write = forms[form]
    y = (y.astype(int)%n).astype(np.uint8)
    data = write(y)
    got = plain(read_map(data))
    assert (got==y).all() and got.dtype==np.uint8, form
    c = count_map(data)
    keys,counts = tally(read_map(data).pixels)
    assert (c.keys==keys).all() and (c.counts==counts).all() and c.size==y.shape

@few
@given(y=array_of(np.uint8, (5, 7), elements=st.integers(0, 20)), way=st.integers(1, 8))
def test_a_map_is_turned_as_a_viewer_turns_it(y, way):
    exif = Image.Exif()
    exif[0x0112] = way
    im = Image.fromarray(y)
    from PIL import ImageOps
    data = file_of(im, exif=exif)
    with Image.open(io.BytesIO(data)) as seen: upright = np.asarray(ImageOps.exif_transpose(seen))
    assert (read_map(data).pixels==upright).all() and count_map(data).size==upright.shape

@few
@given(y=array_of(np.uint8, (6, 6), elements=st.integers(0, 5)), order=st.permutations(range(6)))
def test_maps_read_by_colour_do_not_depend_on_the_order_of_a_palette(y, order):
    colours = palette[:6]
    r = reading({int(packed(c)): i for i,c in enumerate(colours)}, 'colour')
    for data in file_of(p_image(y, colours, order)),file_of(Image.fromarray(colours[y])): assert (r(read_map(data))==y).all()

# chkstyle: ignore-node
unreadable = {
    'JPEG': (lambda y: file_of(Image.fromarray(y), 'JPEG'), 'is a JPEG, in which classes bleed'),
    'JPEG 2000': (lambda y: file_of(Image.fromarray(y), 'JPEG2000'), 'is a JPEG 2000'),
    'lossy WebP': (lambda y: file_of(Image.fromarray(y), 'WEBP'), 'is a lossy WebP'),
    'JPEG in a TIFF': (lambda y: file_of(Image.fromarray(np.stack([y]*3, 2)), 'TIFF', compression='jpeg'), 'lossy compression'),
    'frames of a GIF': (lambda y: file_of(p_image(y, palette), 'GIF', save_all=True, append_images=[p_image(255-y, palette)]), 'has 2 frames'),
    'pages of a TIFF': (lambda y: file_of(Image.fromarray(y), 'TIFF', save_all=True, append_images=[Image.fromarray(y)]), 'has 2 frames'),
    'transparency': (lambda y: file_of(Image.fromarray(np.stack([y, y], 2), 'LA')), 'partly transparent'),
    'halves': (lambda y: file_of(Image.fromarray((y/2).astype(np.float32)), 'TIFF'), 'not whole'),
    'CMYK': (lambda y: file_of(Image.fromarray(y).convert('CMYK'), 'TIFF'), 'is CMYK'),
    '16-bit colours': (lambda y: deep_png(y), 'has 16 bits a channel'),
    'white is 0': (lambda y: white_is_0(y), 'may be upside down'),
    'half a file': (lambda y: file_of(Image.fromarray(y))[:50], 'cannot be read'),
    'text': (lambda y: b'hello', 'cannot be read')}

def deep_png(y):
    import cv2
    return cv2.imencode('.png', np.stack([y.astype(np.uint16)]*3, 2))[1].tobytes()

def white_is_0(y): return file_of(Image.fromarray(y), 'TIFF', tiffinfo={262: 0})

@pytest.mark.parametrize('form', unreadable)
def test_what_cannot_be_read_faithfully_is_refused_in_one_line(form):
    write,words = unreadable[form]
    y = np.random.default_rng(0).integers(0, 9, (16, 16), dtype=np.uint8)
    with pytest.raises(InputError, match=words) as e: read_map(write(y), 'maps/7.png', 'masks:a,b')
    assert 'maps/7.png' in str(e.value) and '\n' not in str(e.value)

# a set as a whole

rr,cc = np.mgrid[:64,:64]
base = ((rr-30)**2+(cc-18)**2<150).astype(np.uint8)+2*((cc>40)&(rr>20)).astype(np.uint8)
maps = [np.roll(base, 3*i, 0) for i in range(4)]

def looked(images):
    "Files of images, counted"
    files = [Bytes(file_of(o) if isinstance(o, Image.Image) else o) for o in images]
    return [count_map(f.data) for f in files],files

class Bytes:
    name = '1.png'
    def __init__(self, data): self.data = data
    def read_bytes(self): return self.data

def listing(*lines): return class_list(entries_of('\n'.join(lines).encode()), 'classes.txt')

def meant(images, names=None):
    "What `agreed` makes of images, and the first map as classes"
    counted,files = looked(images)
    a = agreed(counted, files, names)
    return a,a.reading(read_map(files[0].data))

three = listing('background', 'disc', 'square')
voc3 = palette[:3]
greys = lambda k: [Image.fromarray((y*k).astype(np.uint8)) for y in maps]
objects = [Image.fromarray(((y>0)*255).astype(np.uint8)) for y in maps]

# chkstyle: ignore-node
certain = {
    'indices': (greys(1), None, ['0', '1', '2']),
    'indices with names': (greys(1), three, three.names),
    'times 40': (greys(40), None, ['0', '40', '80']),
    'times 40 with names': (greys(40), three, three.names),
    'times 127 with names': (greys(127), three, three.names),
    '0, 128, 255 with names': ([Image.fromarray(np.array([0,128,255], np.uint8)[y]) for y in maps], three, three.names),
    'from 1 with names': ([Image.fromarray(y+1) for y in maps], three, three.names),
    'from 1': ([Image.fromarray(y+1) for y in maps], None, ['1', '2', '3']),
    'numbers in the list': (greys(38), listing('0 background', '38 disc', '76 square'), three.names),
    '16 bits': ([Image.fromarray(y.astype(np.uint16)*257) for y in maps], None, ['0', '1', '2']),
    'colours of VOC': ([Image.fromarray(voc3[y]) for y in maps], None, ['0', '1', '2']),
    'palettes in other orders': ([p_image(y, voc3, o) for y,o in zip(maps, ([0,1,2], [2,1,0], [1,0,2], [0,1,2]))], None, ['0', '1', '2']),
    'one wrong palette for all': ([p_image(y, voc3, [2,0,1]) for y in maps], None, ['0', '1', '2']),
    'GIFs, whose indices are packed': ([file_of(p_image(y*(i%3>0), voc3, [0,9,4]), 'GIF', optimize=True) for i,y in enumerate(maps, 1)], None, ['0', '1', '2']),
    'quantised': ([Image.fromarray(voc3[y]).quantize(3) for y in maps], None, ['0', '1', '2']),
    'a table of colours': ([Image.fromarray(np.array([[9,9,9],[255,0,0],[1,2,3]], np.uint8)[y]) for y in maps],
        listing('background,9,9,9', 'disc,255,0,0', 'square,1,2,3'), three.names),
    'web palette, colours of its cube, and a table': ([Image.fromarray(np.array([[0,0,0],[255,0,0],[0,0,255]], np.uint8)[y]).convert('P') for y in maps],
        listing('background,0,0,0', 'disc,255,0,0', 'square,0,0,255'), three.names),
    'kinds mixed': ([Image.fromarray(maps[0]), p_image(maps[1], voc3), Image.fromarray(np.stack([maps[2]]*3, 2))], None, ['0', '1', '2'])}

@pytest.mark.parametrize('case', certain)
def test_what_is_certain_becomes_the_right_classes(case):
    images,names,expected = certain[case]
    a,y = meant(images, names)
    assert (y==maps[0]).all() and a.names==expected, a
    assert a.background==(None if case=='from 1' else 0)
    if case not in ('indices', 'indices with names', 'kinds mixed'): assert a.said or names is not None

# chkstyle: ignore-node
binary = {'0 and 255': (objects, None), '0 and 255 with names': (objects, listing('background', 'cell')), 'RGB': ([o.convert('RGB') for o in objects], None),
    '1 bit': ([o.convert('1') for o in objects], None), 'black and red': ([Image.fromarray(np.array([[0,0,0],[255,0,0]], np.uint8)[(y>0).astype(int)]) for y in maps], None),
    '0 and 128': ([Image.fromarray(((y>0)*128).astype(np.uint8)) for y in maps], listing('bg', 'cell')), '16 bits': ([Image.fromarray((y>0).astype(np.uint16)*65535) for y in maps], None)}

@pytest.mark.parametrize('case', binary)
def test_a_binary_mask_is_background_and_object(case):
    images,names = binary[case]
    a,y = meant(images, names)
    assert (y==(maps[0]>0)).all() and len(a.names)==2 and a.background==0

def test_voc_goes_on_as_it_is():
    y = np.kron(np.arange(21, dtype=np.uint8).reshape(3, 7), np.ones((9, 9), np.uint8))
    y[:,:3] = 255
    for im in Image.fromarray(y),p_image(y, palette):
        a,got = meant([im]*3)
        assert a.reading is plain and (got==y).all() and a.names==[str(i) for i in range(21)] and a.background==0 and not a.said

noisy = {'blurred': lambda y: ndimage.gaussian_filter(y*100., 1).round().astype(np.uint8),
    'resized': lambda y: np.asarray(Image.fromarray(y*100).resize((50, 50), Image.Resampling.BILINEAR)),
    'once a JPEG': lambda y: np.asarray(Image.open(io.BytesIO(file_of(Image.fromarray(y*100), 'JPEG')))),
    'a binary mask, once a JPEG': lambda y: np.asarray(Image.open(io.BytesIO(file_of(Image.fromarray((y>0)*np.uint8(255)), 'JPEG')))),
    'soft edges in colour': lambda y: np.asarray(Image.fromarray(palette[y*5]).resize((50, 50), Image.Resampling.LANCZOS))}

@pytest.mark.parametrize('case', noisy)
@pytest.mark.parametrize('names', [None, three])
def test_noise_is_an_error_that_names_the_cause(case, names):
    with pytest.raises(InputError, match='fill areas .*along their edges: they were saved as JPEG'): meant([Image.fromarray(noisy[case](y)) for y in maps], names)

# chkstyle: ignore-node
doubtful = {
    '0, 128 and 255': ([Image.fromarray(np.array([0,128,255], np.uint8)[y]) for y in maps], None, '255 may be a class or void'),
    'brightness of colours': ([Image.fromarray(voc3[y]).convert('L') for y in maps], three, 'which is which'),
    '0 and 255 for three names': (objects, three, 'names 3 classes'),
    'a number more than names': (greys(1), listing('disc', 'square'), 'one number more'),
    'a number that is not listed': (greys(40), listing('0 background', '40 disc'), 'does not list 80'),
    'a colour that is not listed': ([Image.fromarray(voc3[y]) for y in maps], listing('background,0,0,0', 'disc,128,0,0'), 'does not list the colours #008000'),
    'colours without a table': ([Image.fromarray(np.array([[0,0,0],[255,0,0],[0,0,255]], np.uint8)[y]) for y in maps], None, '3 colours .*write colors.txt'),
    'palettes that mean other things': ([p_image(maps[0], [[0,0,0],[1,2,3],[4,5,6]]), p_image(maps[1], [[0,0,0],[7,8,9],[4,5,6]])], None, 'an index has other colours in other files'),
    'the web palette': ([Image.fromarray(voc3[y]).convert('P') for y in maps], None, 'Image.convert'),
    'the web palette of two dark colours': ([Image.fromarray(np.array([[0,0,0],[40,0,0]], np.uint8)[(y>0).astype(int)]).convert('P') for y in maps], None, 'Image.convert'),
    'black is not the first': ([p_image(y, [[128,64,128],[0,0,0],[70,70,70]]) for y in maps], None, 'which is the background'),
    'numbers and colours': ([Image.fromarray(maps[0]), Image.fromarray(voc3[maps[1]])], None, 'export all of them in one form'),
    'one class': ([Image.fromarray(y*0) for y in maps], None, 'one class only'),
    'one class and void': ([Image.fromarray(np.where(y>0, 7, 255).astype(np.uint8)) for y in maps], None, 'one class only'),
    'numbers of objects in 16 bits': ([Image.fromarray(y.astype(np.uint16)+26001) for y in maps], None, 'numbers of objects'),
    'a photograph': ([Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))], None, 'wrong way round')}

@pytest.mark.parametrize('case', doubtful)
def test_what_could_mean_two_things_is_refused_with_a_way_out(case):
    images,names,words = doubtful[case]
    with pytest.raises(InputError, match=words) as e: meant(images, names)
    assert '\n' not in str(e.value)

def test_maps_of_instances_are_refused():
    rng = np.random.default_rng(0)
    def objects(n): return Image.fromarray(np.where((rr<30)&(cc//8<n), cc//8+1, 0).astype(np.uint8))
    numbered = [objects(rng.integers(1, 9)) for _ in range(24)]
    for names in None,listing('background', 'cell'):
        with pytest.raises(InputError, match='numbers of objects'): meant(numbered, names)

@few
@given(numbers=st.sets(st.integers(0, 254), min_size=2, max_size=12), void=st.booleans())
def test_numbers_without_names_keep_one_class_each(numbers, void):
    total = dict.fromkeys(sorted(numbers)+[255]*void, 5)
    try: choice = from_numbers(total)
    except InputError as e:
        assert void and '255 may be' in str(e)
        return
    classes = [choice.classes[k] for k in sorted(numbers)]
    assert len({*classes})==len(numbers) and classes==sorted(classes)
    assert [choice.names[c] for c in classes]==[str(k) for k in sorted(numbers)]
    assert not void or choice.classes[255]==255
    assert choice.background==(0 if 0 in numbers else None) and (choice.background is None or choice.classes[0]==0)

@few
@given(n=st.integers(2, 30), step=st.integers(2, 8), void=st.booleans())
def test_evenly_spaced_numbers_are_the_named_classes(n, step, void):
    names = listing('background', *(f'class {i}' for i in range(1, n)))
    numbers = [i*step for i in range(n) if i*step<255]
    if len(numbers)<n: return
    choice = from_names(dict.fromkeys(numbers+[255]*void, 5), names)
    assert [choice.classes[k] for k in numbers]==[*range(n)] and (not void or choice.classes[255]==255)

def test_thin_things_are_no_noise():
    y = np.where(cc==10, 3, base)
    y = np.where(rr==40, 4, y)
    assert noise_of([y]).noise==[3, 4] and not noise_of([y]).noisy
    y = np.kron(np.random.default_rng(0).integers(0, 40, (12, 12)), np.ones((5, 5), int))
    assert not noise_of([y]).noise

# lists of classes

name = st.text('abcdefghijklmnopqrstuvwxyz', min_size=2, max_size=9)
names_of = st.lists(name, min_size=2, max_size=12, unique=True)

# chkstyle: ignore-node
written = {
    'lines': lambda n, c: '\n'.join(n), 'Windows lines': lambda n, c: '\r\n'.join(n)+'\r\n', 'blank lines': lambda n, c: '\n\n'.join(n),
    'commas': lambda n, c: ','.join(n), 'commas at the ends': lambda n, c: ',\n'.join(n), 'quotes': lambda n, c: '\n'.join(f'"{o}"' for o in n),
    'number name': lambda n, c: '\n'.join(f'{i} {o}' for i,o in enumerate(n)), 'number: name': lambda n, c: '\n'.join(f'{i}: {o}' for i,o in enumerate(n)),
    'number,name': lambda n, c: '\n'.join(f'{i},{o}' for i,o in enumerate(n)), 'name,number': lambda n, c: '\n'.join(f'{o},{i}' for i,o in enumerate(n)),
    'number\tname': lambda n, c: '\n'.join(f'{i}\t{o}' for i,o in enumerate(n)),
    'CVAT': lambda n, c: '# label:color_rgb:parts:actions\n'+'\n'.join(f'{o}:{r},{g},{b}::' for o,(r,g,b) in zip(n, c)),
    'class_dict.csv': lambda n, c: 'name,r,g,b\n'+'\n'.join(f'{o},{r},{g},{b}' for o,(r,g,b) in zip(n, c)),
    'CamVid': lambda n, c: '\n'.join(f'{r} {g} {b}\t\t{o}' for o,(r,g,b) in zip(n, c)), 'name,r,g,b': lambda n, c: '\n'.join(f'{o}, {r}, {g}, {b}' for o,(r,g,b) in zip(n, c)),
    'number name r g b a': lambda n, c: '\n'.join(f'{i} {o} {r} {g} {b} 255' for i,(o,(r,g,b)) in enumerate(zip(n, c))),
    'hex': lambda n, c: '\n'.join(f'{o},#{r:02x}{g:02x}{b:02x}' for o,(r,g,b) in zip(n, c)),
    'Roboflow _classes.csv': lambda n, c: 'Pixel Value, Class\n'+'\n'.join(f'{i}, {o}' for i,o in enumerate(n)),
    'JSON list': lambda n, c: json.dumps(n), 'JSON objects': lambda n, c: json.dumps([dict(id=i, name=o, color=list(k)) for i,(o,k) in enumerate(zip(n, c))]),
    'JSON by number': lambda n, c: json.dumps({i: o for i,o in enumerate(n)}), 'JSON by name': lambda n, c: json.dumps({o: i for i,o in enumerate(n)}),
    'JSON colours': lambda n, c: json.dumps({o: list(k) for o,k in zip(n, c)}),
    'YAML list': lambda n, c: f'train: ../train\nnc: {len(n)}\nnames: {json.dumps(n)}\n', 'YAML by number': lambda n, c: 'names:\n'+''.join(f'  {i}: {o}\n' for i,o in enumerate(n))}
suffix = {'class_dict.csv': '.csv', 'Roboflow _classes.csv': '.csv'}

@pytest.mark.parametrize('form', written)
@few
@given(names=names_of, seed=st.integers(0, 99), encoding=st.sampled_from(['utf-8', 'utf-8-sig', 'utf-16']))
def test_a_list_in_any_known_form_comes_back(form, names, seed, encoding):
    assume(names[0].lower() not in 'name names class classes label labels category'.split()) # Those head a column
    keys = np.random.default_rng(seed).choice(2**24, len(names), replace=False)
    colours = [tuple(o) for o in unpacked(keys).tolist()]
    end = suffix.get(form, '.json' if 'JSON' in form else '.yaml' if 'YAML' in form else '.txt')
    found = entries_of(written[form](names, colours).encode(encoding), end)
    assert [o.name for o in found]==names
    assert all(o.number in (None, i) for i,o in enumerate(found))
    assert all(o.colour in (None, k) for o,k in zip(found, keys.tolist()))
    if form in ('CVAT', 'class_dict.csv', 'CamVid', 'JSON colours', 'hex'): assert [o.colour for o in found]==keys.tolist()
    if 'number' in form or 'Roboflow' in form: assert [o.number for o in found]==[*range(len(names))]

@pytest.mark.parametrize('first', 'background Background BACKGROUND _background_ __background__ bg BG <background> back_ground unlabeled Unlabelled '
    'void other none Hintergrund 背景'.split())
def test_every_spelling_of_the_background_is_one(first):
    c = listing(first, 'disc', 'square')
    assert c.background==0 and len(c.names)==3 and c.numbers=={0: 0, 1: 1, 2: 2}

def test_what_nobody_judges_is_void():
    for lines in ('__ignore__', '_background_', 'disc'),('-1 __ignore__', '0 _background_', '1 disc'):
        assert listing(*lines).numbers=={-1: 255, 0: 0, 1: 1} and listing(*lines).names==['_background_', 'disc']
    c = listing('background', 'disc', 'void', 'square')
    assert c.numbers=={0: 0, 1: 1, 2: 255, 3: 2} and c.names==['background', 'disc', 'square'] and 'void in classes.txt is taken for void' in c.note
    assert listing('disc', 'others', 'square').background is None

@pytest.mark.parametrize('lines,words', [(['background', 'disc', 'disc'], 'disc comes twice'), (['0 a', '0 b'], '0 stands for two classes'),
    (['a,1,2,3', 'b,1,2,3'], '#010203 stands for two classes'), (['background', 'bg', 'disc'], 'both mean the background'), ([f'c{i}' for i in range(300)], '300 classes')])
def test_a_list_that_contradicts_itself_is_refused(lines, words):
    with pytest.raises(InputError, match=words): listing(*lines)

def test_names_with_digits_blanks_and_commas_stay_whole():
    for lines in (['class 1', 'class 2'], ['car, van', 'traffic light'], ['3d printer', 'bed'], ['0', '1', '2']):
        assert [o.name for o in entries_of('\n'.join(lines).encode())]==lines
    assert text_of('Körper'.encode('latin-1'))=='Körper'

def test_lists_are_found_where_tools_put_them(tmp_path):
    (tmp_path/'train/labels').mkdir(parents=True)
    (tmp_path/'SegmentationClass').mkdir()
    (tmp_path/'data.yaml').write_text('names: [background, disc]\n')
    assert find_classes(tmp_path/'train/labels')[0].names==['background', 'disc']
    (tmp_path/'labelmap.txt').write_text('# label:color_rgb:parts:actions\nbackground:0,0,0::\ndisc:1,2,3::\n')
    c,said = find_classes(tmp_path/'SegmentationClass')
    assert c.colours=={0: 0, 0x010203: 1} and not said
    (tmp_path/'SegmentationClass/classes.txt').write_text('background\nsquare\n')
    c,said = find_classes(tmp_path/'SegmentationClass')
    assert c.names==['background', 'square'] and 'lists others' in said[0]

# the task

def save(root, images, photo=None):
    rng = np.random.default_rng(0)
    for o in 'images','labels': (root/o).mkdir(parents=True, exist_ok=True)
    for i,im in enumerate(images):
        (root/f'labels/{i}.png').write_bytes(file_of(im))
        Image.fromarray(rng.integers(0, 255, (*im.size[::-1], 3), dtype=np.uint8)).save(root/f'images/{i}.png')
    return f'masks:{root}/images,{root}/labels'

def notes_of(task):
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter('always')
        t = masks(task)
    return t,[str(o.message) for o in w]

def turned(k): return [np.roll(base, 5*i, 1) for i in range(k)]

def test_masks_of_0_and_255_train_the_object(tmp_path):
    t,notes = notes_of(save(tmp_path, [Image.fromarray((y>0)*np.uint8(255)) for y in turned(10)]))
    assert {*t.y_train.unique().tolist()}=={0, 1} and len(t.classes)==2 and t.background==0
    assert any('0 and 255 alone' in o for o in notes)

def test_quantised_maps_are_the_maps_that_they_were(tmp_path):
    a = notes_of(save(tmp_path/'a', [Image.fromarray(y) for y in turned(10)]))[0]
    b,notes = notes_of(save(tmp_path/'b', [Image.fromarray(voc3[y]).quantize(3) for y in turned(10)]))
    assert (a.y_train==b.y_train).all() and (a.y_test==b.y_test).all() and a.classes==b.classes
    assert any('read by colour' in o for o in notes)

def test_where_no_class_is_a_background_that_is_said_with_what_it_costs(tmp_path):
    task = save(tmp_path, [Image.fromarray(y) for y in turned(10)])
    (tmp_path/'labels/classes.txt').write_text('grass\ndisc\nsquare\n')
    t,notes = notes_of(task)
    assert t.background is None and any('all of every image is drawn and charged; grass has 6' in o for o in notes), notes
    (tmp_path/'labels/classes.txt').write_text('Background\r\ndisc\r\nsquare\r\n', encoding='utf-16')
    t,notes = notes_of(task)
    assert t.background==0 and not [o for o in notes if 'are for testing' not in o]

def test_a_test_set_of_one_class_is_refused(tmp_path):
    ims = [Image.fromarray(y) for y in turned(10)]
    task = save(tmp_path, ims)
    t,_ = notes_of(task)
    for f in (tmp_path/'labels').iterdir():
        y = np.array(Image.open(f))
        if (t.y_test==torch.from_numpy(y)).flatten(1).all(1).any(): Image.fromarray(y*0).save(f)
    with pytest.raises(InputError, match='test label maps hold 0 alone, and a mean over one class is no score'): notes_of(task)

def test_a_mean_over_one_class_is_no_number():
    y = torch.zeros(9, dtype=torch.long)
    assert np.isnan(miou(confusion(y, y, 3))) and miou(confusion(torch.arange(3), torch.arange(3), 3))==1

def test_a_changed_list_of_colours_changes_the_fingerprint(tmp_path):
    task = save(tmp_path, [Image.fromarray(palette[[9,15,3]][y]) for y in turned(10)])
    digests = []
    for order in 'abc','acb':
        lines = [f'{n},{",".join(map(str, palette[i]))}' for n,i in zip(order, (9,15,3))]
        (tmp_path/'colors.txt').write_text('\n'.join(sorted(lines)))
        digests.append(notes_of(task)[0].digest)
    assert digests[0]!=digests[1]

def test_frames_are_told_from_numbered_photographs_by_their_distances():
    assert len({*clips_of([f'seq{i}/frame_{k:05}' for i in range(3) for k in range(0, 90, 30)]).values()})==3
    assert clips_of([f'{y}_{n:06}' for y in (2007,2008) for n in (3,32,33,62,129)])=={} and clips_of(['a', 'b'])=={}
    assert voc_colours[0x800000]==1 and voc_colours[int(packed([224,224,192]))]==255
