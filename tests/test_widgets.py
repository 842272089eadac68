"Widgets: traits, files and bad input in Python, and the mouse and keyboard of a person in a JupyterLab of its own"
import json,shutil,subprocess,sys
from zipfile import ZipFile

import nbformat, numpy as np, pytest, torch
from browser import *

from deep_al_illusions.segment.clicks import conventions,n_clicks,polygons,void
from deep_al_illusions.study.basics import InputError
from deep_al_illusions.study.spec import Spec
from deep_al_illusions.study.provenance import package
from deep_al_illusions.segment.regions import Labels
from deep_al_illusions.segment.segdata import SegTask
from deep_al_illusions.learn.train import train
from deep_al_illusions.segment.annotations import gather,load_annotation
from deep_al_illusions.segment.widgets import Annotator,compare,explorer

classes = ['ground', 'box', 'pole', 'sign']
square = [[10,10],[10,30],[30,30],[30,10]]

@pytest.fixture
def image():
    x = np.full((40, 60, 3), 90, np.uint8)
    x[10:31,10:31] = 160
    return x

@pytest.fixture
def mask():
    y = np.zeros((40, 60), np.uint8)
    y[10:31,10:31] = 1
    y[5:35,45:50] = 2
    y[0] = void
    return y

def trained_on(ann, root):
    "A network is trained on what a person drew, at the price of the person's clicks"
    x,y = torch.full((1, 3, *ann.shape), 90, dtype=torch.uint8),torch.zeros(1, *ann.shape, dtype=torch.uint8)
    y[0,0,:4] = torch.arange(4)
    spec = Spec(task='scenes', iterations=2, crop=33, model='deeplab-18-4')
    task = SegTask('mine', ann.classes, x, y, x, y, background=0).drawn_by(gather([ann])).at(spec)
    assert task.costs[0]==ann.clicks and (Labels(task, [0])[0].numpy()==ann.paint()).all()
    assert np.isfinite(train(task, spec, [0], root=root/'trainings')[1]['loss'])

def poly(cls, points, times=()): return dict(cls=cls, points=points, times=list(times))

def test_clicks_follow_traits(image):
    a = Annotator(image, classes)
    assert (a.clicks, a.polygons(), a.annotation().clicks) == (0, [], 0)
    a.drawn = [poly(1, square)]
    a.draft = poly(2, [[1,1],[2,2]])
    assert a.clicks == 5+2
    assert a.annotation().clicks == 5
    a.drawn = []
    assert a.clicks == 2

# chkstyle: ignore-node
@pytest.mark.parametrize('x', [np.zeros((4, 5, 3)), np.zeros((4, 5, 4), np.uint8), np.zeros((2, 4, 5), np.uint8), np.zeros(5, np.uint8), np.zeros((0, 5, 3), np.uint8), 'x'])
def test_images_refused(x):
    with pytest.raises(InputError, match='^the image must .*[^\n]$'): Annotator(x, classes)

def test_images_accepted(image):
    import torch
    from PIL import Image
    for x in image, torch.tensor(image).permute(2, 0, 1), Image.fromarray(image), image[...,0]: assert Annotator(x, classes).shape == [40, 60]

# chkstyle: ignore-node
@pytest.mark.parametrize('bad,says', [(poly(0, square), 'has the class 0'), (poly(9, square), 'has the class 9'), (poly('box', square), "has the class 'box'"),
    (poly(True, square), 'has the class True'), (poly(1, square[:2]), 'at least 3'), (poly(1, []), 'at least 3'), (poly(1, [1,2,3]), 'at least 3'),
    (poly(1, [[1,1],[2]]), 'at least 3'), (poly(1, [['a','b']]*3), 'at least 3'), (poly(1, [[0,0],[0,9],[float('nan'),3]]), 'leaves the image'),
    (poly(1, [[0,0],[0,9],[40,3]]), 'leaves the image'), (3, 'is not a dict')])
def test_polygons_refused(image, bad, says):
    a = Annotator(image, classes)
    with pytest.raises(InputError, match=says) as e: a.drawn = [bad]
    assert '\n' not in str(e.value) and a.drawn == []

def test_without_classes(image):
    with pytest.raises(InputError, match='no class to draw'): Annotator(image, ['ground'])
    assert Annotator(image, ['thing'], background=None).background is None

def test_file_round_trip(image, tmp_path):
    a = Annotator(image, classes, background=None)
    a.drawn = [poly(1, square, [.5,1,1.5,2,2.5]), poly(0, [[0,0],[0,9],[9,4]], [3,4,5,6])]
    a.seconds,a.events = 6.,[dict(t=.5, what='click', at=[10,10])]
    a.save(tmp_path/'a.npz')
    b = load_annotation(tmp_path/'a.npz')
    assert (b.clicks, b.seconds, b.events, b.times, b.classes, b.background) == (9, 6., a.events, [o['times'] for o in a.drawn], classes, None)
    assert (b.paint() == a.annotation().paint()).all() and set(np.unique(b.paint())) == {0, 1, void}
    c = Annotator(image, classes, background=None, annotation=b)
    assert c.drawn == a.drawn and c.clicks == 9
    assert [f.name for f in tmp_path.iterdir() if f.is_file()] == ['a.npz']

def test_files_refused(image, tmp_path):
    a,f = Annotator(image, classes),tmp_path/'a.npz'
    with pytest.raises(InputError, match='there is no file'): load_annotation(f)
    with pytest.raises(InputError, match='is not an annotation'): load_annotation(tmp_path)
    for body in b'', b'text', b'PK\x03\x04':
        f.write_bytes(body)
        with pytest.raises(InputError, match='is not an annotation'): load_annotation(f)
    np.savez(f, x=np.arange(3))
    with pytest.raises(InputError, match='is not an annotation'): load_annotation(f)
    np.save(tmp_path/'a.npy', np.arange(3))
    with pytest.raises(InputError, match='is not an annotation'): load_annotation(tmp_path/'a.npy')
    a.drawn = [poly(1, square)]
    ann = a.annotation()
    ann.polygons[0].points = ann.polygons[0].points[:2]
    ann.save(f)
    with pytest.raises(InputError, match='at least 3'): load_annotation(f)

def test_resume_refuses_another_image(image):
    ann = Annotator(image, classes).annotation()
    with pytest.raises(InputError, match='the shape'): Annotator(image[:20], classes, annotation=ann)
    with pytest.raises(InputError, match='the classes'): Annotator(image, ['ground', 'box'], annotation=ann)

def test_smaller_objects_lie_on_top(image):
    "Whatever the order of drawing"
    big,small = poly(1, [[0,0],[0,59],[39,59],[39,0]]),poly(2, square)
    maps = []
    for drawn in [big,small],[small,big]:
        a = Annotator(image, classes)
        a.drawn = drawn
        maps.append(a.annotation().paint())
    assert (maps[0] == maps[1]).all() and maps[0][20,20] == 2 and maps[0][35,35] == 1

def test_exact_polygons_score_as_the_simulation(image, mask):
    a = Annotator(image, classes)
    a.drawn = [poly(p.cls, p.points.tolist()) for p in polygons(mask, 1)]
    df = compare(a, mask, 1)
    assert df.clicks.nunique() == df.miou.nunique() == 1 and df.clicks.iloc[0] == n_clicks(mask, 1)

def test_explorer_refuses(image, mask):
    with pytest.raises(InputError, match='the image is 40 x 60, the mask 20 x 60'): explorer(image, mask[:20], classes)
    with pytest.raises(InputError, match='the mask has the class 2'): explorer(image, mask, classes[:2])
    with pytest.raises(InputError, match='uint8'): explorer(image/255, mask, classes)
    for t in -1,90: assert pytest.raises(InputError, explorer, image, mask, classes, t).match('must be in 0..6')
    with pytest.raises(InputError, match='convention'): explorer(image, mask, classes, convention='papre')

def test_explorer_of_empty_masks(image):
    for fill in 0,void:
        e = explorer(image, np.full((40, 60), fill, np.uint8), classes)
        assert e.clicks == 0 and e.polys == []

@pytest.mark.parametrize('convention', conventions)
def test_explorer_shows_crumbs(image, mask, convention):
    "Components that a tolerance leaves one or two vertices"
    mask[20:22,55] = mask[38,2] = 3
    e = explorer(image, mask, classes, 6, convention, None)
    assert len(e.canvas.drawn) == len(e.polys) and e.clicks == n_clicks(mask, 6, convention, None)
    e.picture()

def test_mimebundles(image, mask):
    for o in Annotator(image, classes),explorer(image, mask, classes):
        b = o._repr_mimebundle_()
        assert sorted(b) == ['image/png', 'text/plain'] and '0x' not in b['text/plain']

def test_static_files_are_in_the_wheel(tmp_path):
    src = package.parent
    if not (src/'pyproject.toml').exists(): pytest.skip('installed without its sources')
    for f in 'pyproject.toml', 'README.md', 'LICENSE': shutil.copy(src/f, tmp_path)
    shutil.copytree(package, tmp_path/package.name)
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', tmp_path/'dist', tmp_path], check=True)
    names = ZipFile(next((tmp_path/'dist').glob('*.whl'))).namelist()
    assert {'deep_al_illusions/static/annotator.js', 'deep_al_illusions/static/annotator.css'} <= set(names)

# In the browser

cells = ["""import json, numpy as np
from deep_al_illusions.segment.widgets import *
image = np.full((60, 80, 3), 90, np.uint8)
image[10:31,10:31] = 160
mask = np.uint8(np.hypot(*np.mgrid[-30:30,-40:40])<22)
a = Annotator(image, ['ground', 'box', 'pole', 'sign'], size=480)
a""", 'e = explorer(image, mask, a.classes, size=480)\ne', 'a']

class Lab:
    "The notebook above, executed, with a person in front of it"
    def __init__(self, page): self.page = page
    def py(self, expr):
        "Value of an expression in the kernel"
        code = json.dumps(dict(code='', user_expressions=dict(v=f'json.dumps({expr})')))
        return json.loads(self.page.js(f"""nb().context.sessionContext.session.kernel.requestExecute({code}).done
            .then(o => eval(o.content.user_expressions.v.data['text/plain']))"""))
    def run(self, code): self.page.js(f'nb().context.sessionContext.session.kernel.requestExecute({json.dumps(dict(code=code))}).done.then(() => 1)')
    def at(self, row, col, canvas=0):
        "Where a pixel is on the screen, at zoom 1"
        x,y,w,h = self.page.js(f"(b => [b.left, b.top, b.width, b.height])(document.querySelectorAll('.dal-annotator canvas')[{canvas}].getBoundingClientRect())")
        return x+(col+.5)*w/80,y+(row+.5)*h/60
    def click(self, row, col, **kw): self.page.click(*self.at(row, col), **kw)
    def draw(self, points):
        for p in points: self.click(*p)
    def expect(self, text): self.page.wait(f"document.querySelector('.dal-status').textContent.replace(/ \\d+ s ·/, '').startsWith({json.dumps(text)})", 10)
    def settle(self, expr, value): wait_for(lambda: self.py(expr)==value, f'{expr} is not {value}', 10)

@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    if not find_chromium(): pytest.skip('no Chromium on the path')
    folder = tmp_path_factory.mktemp('lab')
    (folder/'work').mkdir()
    meta = dict(kernelspec=dict(name='python3', display_name='Python', language='python'))
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(o) for o in cells], metadata=meta), folder/'work'/'label.ipynb')
    with jupyterlab(folder) as url, chromium(folder, height=1400) as page:
        page.call('Page.navigate', url=url+'/doc/tree/label.ipynb')
        page.wait('window.jupyterapp?.restored.then(() => true)')
        page.js("window.nb = () => [...window.jupyterapp.shell.widgets('main')][0]")
        page.wait('nb()?.content?.widgets?.length===3 && nb().context.sessionContext.ready.then(() => true)')
        page.js('window.jupyterapp.shell.activateById(nb().id)')
        page.js("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait("document.querySelectorAll('.dal-annotator canvas').length==3")
        lab = Lab(page)
        lab.folder = folder/'work'
        yield lab

@pytest.fixture
def fresh(lab):
    "The same, with nothing drawn"
    lab.run("a.drawn,a.events,a.seconds,a.draft = [],[],0.,dict(cls=-1, points=[], times=[])")
    lab.page.js('nb().content.widgets[0].node.scrollIntoView()')
    lab.page.mouse('Moved', *lab.at(0, 0), 'none')
    lab.expect('0 clicks · 0 polygons')
    return lab

def test_mouse_to_label_map(fresh):
    "Drawn by mouse, saved, loaded, priced and painted"
    colour = "(c => [...c.getContext('2d').getImageData(c.width/4, c.height/3, 1, 1).data].join())(document.querySelector('.dal-annotator canvas'))"
    before = fresh.page.js(colour)
    fresh.draw(square)
    fresh.expect('4 clicks · 0 polygons and one open')
    fresh.click(10.4, 10.4)
    fresh.expect('5 clicks · 1 polygon')
    assert before == '160,160,160,255' and fresh.page.js(colour) != before
    fresh.page.key('2')
    fresh.draw([[5,45],[5,50],[35,50],[35,45]])
    fresh.page.key('Enter')
    fresh.settle('[a.clicks, len(a.drawn), [o["cls"] for o in a.drawn]]', [10, 2, [1, 2]])
    fresh.run("a.save('person.npz')")
    ann = load_annotation(fresh.folder/'person.npz')
    assert ann.clicks == sum(p.clicks for p in ann.polygons) == 10 and ann.classes == classes
    np.testing.assert_allclose(ann.polygons[0].points, square, atol=.2)
    y = ann.paint()
    assert (y[11:30,11:30] == 1).all() and (y[6:35,46:50] == 2).all() and y[20,38] == 0
    assert [o['what'] for o in ann.events] == ['click']*4+['close']+['click']*4+['close']
    assert [len(t) for t in ann.times] == [5, 5] and 0 < ann.seconds < 60 and ann.times[0][0] == 0
    t = [o['t'] for o in ann.events]
    assert t == sorted(t) and t[-1] == ann.seconds
    trained_on(ann, fresh.folder)

def test_corrections(fresh):
    "Undo, drop, double click, select, delete and bring back; none of the keys reaches JupyterLab"
    page = fresh.page
    page.key('1')
    fresh.draw(square+[[35,5]])
    page.key('Backspace')
    fresh.expect('4 clicks')
    fresh.click(33, 12)
    page.key('z', modifiers=2)
    fresh.expect('4 clicks · 0 polygons and one open')
    x,y = fresh.at(20, 5)
    page.click(x, y)
    page.click(x, y, clicks=2)
    fresh.expect('6 clicks · 1 polygon')
    fresh.draw([[50,60],[55,70]])
    page.key('Escape')
    fresh.expect('6 clicks · 1 polygon')
    fresh.click(20, 20)
    page.key('3')
    fresh.settle('a.drawn[0]["cls"]', 3)
    page.key('Delete')
    fresh.settle('len(a.drawn)', 0)
    page.key('z', modifiers=2)
    fresh.settle('len(a.drawn)', 1)
    what = fresh.py('[o["what"] for o in a.events]')
    assert what == ['click']*5+['undo', 'click', 'undo', 'click', 'close', 'click', 'click', 'drop', 'class', 'delete', 'undo']
    assert page.js("nb().content.widgets.map(w => w.model.type).join()") == 'code,code,code'
    assert page.js('nb().content.widgets.map(w => w.model.sharedModel.source)') == cells

def test_vertices_move_and_keyboard_draws(fresh):
    page = fresh.page
    fresh.draw(square)
    page.key('Enter')
    fresh.click(20, 20)
    page.drag(fresh.at(30, 30), fresh.at(40, 40))
    fresh.settle('[round(v) for v in a.drawn[0]["points"][2]]', [40, 40])
    assert fresh.py('a.clicks') == 5 and fresh.py('a.events[-1]["what"]') == 'move'
    page.key('Escape')
    fresh.click(5, 70)
    for key,n in ('ArrowDown', 2),('ArrowLeft', 1):
        for _ in range(n): page.key(key, modifiers=8)
        page.key(' ', 'Space')
    page.key('Enter')
    fresh.settle('[[round(v) for v in q] for q in a.drawn[1]["points"]]', [[5,70],[25,70],[25,60]])

def test_zoom_and_pan_keep_coordinates(fresh):
    page = fresh.page
    fresh.click(30, 40)
    x,y = fresh.at(30, 40)
    page.call('Input.dispatchMouseEvent', type='mouseWheel', x=x, y=y, deltaX=0, deltaY=-400)
    page.key(' ', 'Space', kind='Down')
    page.drag((x, y), (x+50, y+20))
    page.key(' ', 'Space', kind='Up')
    page.click(x+50, y+60)
    page.drag((x, y), (x-50, y-20), button='middle')
    page.click(x+40, y-20)
    page.key('0')
    fresh.click(10, 10)
    fresh.settle('len(a.draft["points"])', 4)
    k = 6*np.exp(.8)
    np.testing.assert_allclose(fresh.py('a.draft["points"]'), [[30,40],[30+40/k,40],[30-20/k,40+40/k],[10,10]], atol=.05)
    page.key('Escape')

def test_touch(fresh):
    page = fresh.page
    for p in square[:3]:
        page.touch('Start', fresh.at(*p))
        page.touch('End')
    a,b = fresh.at(20, 20),fresh.at(40, 60)
    page.touch('Start', a)
    page.touch('Start', a, b)
    page.touch('Move', a, (b[0]+60, b[1]+30))
    page.touch('End')
    page.key('Enter')
    fresh.settle('[len(a.drawn), a.clicks]', [1, 4])

def test_every_view_shows_the_same(fresh):
    "The canvas of the last cell follows the one of the first, the open polygon included"
    fresh.draw(square[:3])
    colour = "[...document.querySelectorAll('.dal-annotator canvas')].filter(c => c.tabIndex==0 && c.getAttribute('aria-label').includes('draw')).map(c => c.parentNode.querySelector('.dal-status').textContent.split(' ·')[0]).join()"
    fresh.page.wait(f"{colour}=='3 clicks,3 clicks'", 10)
    fresh.page.key('Escape')

def test_explorer_slider(fresh):
    page = fresh.page
    before = page.js("document.querySelector('.widget-html b').parentNode.textContent")
    x,y = page.js("(b => (b.scrollIntoView({block: 'center'}), b = b.getBoundingClientRect(), [b.left+b.width/2, b.top+b.height/2]))(document.querySelector('.noUi-handle'))")
    page.drag((x, y), (x+250, y))
    page.wait(f"document.querySelector('.widget-html b').parentNode.textContent!={json.dumps(before)}", 10)
    fresh.settle('[e.tolerance, e.slider.value]', [fresh.py('e.tolerance')]*2)
    assert fresh.py('e.tolerance') > 6.5
    text = page.js("document.querySelector('.widget-html b').parentNode.textContent")
    assert text.startswith(f'1 polygon, {fresh.py("e.clicks")} clicks')
