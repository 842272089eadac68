"The click model on bad input, and what no mask may break"
import numpy as np, pytest
from scipy import ndimage

from deep_al_illusions.segment.paint import paint,Polygon
from deep_al_illusions.segment.clicks import approximate,Convention,conventions,image_iou,n_clicks
from deep_al_illusions.segment.clicks import Outlines,outlines,polygons,void
from deep_al_illusions.segment.tradeoff import calibrate,trade_off
from deep_al_illusions.study.basics import InputError

def mask_of(seed, size=(90, 110), n=3):
    "Smooth random classes, some of them in one another, and some void"
    rng = np.random.default_rng(seed)
    w = ndimage.gaussian_filter(rng.normal(size=size), 5)
    m = np.digitize(w, np.quantile(w, np.linspace(0, 1, n+2)[1:-1])).astype(np.uint8)
    m[ndimage.gaussian_filter(rng.normal(size=size), 4)>.1] = void
    return m

masks = [mask_of(s) for s in range(20)]

# chkstyle: ignore-node
@pytest.mark.parametrize('mask,words', [
    (np.zeros((4, 4)), 'float64'), (np.zeros((4, 4, 3), int), '(4, 4, 3)'), (np.zeros((0, 4), int), '(0, 4)'), (np.zeros(4, int), '(4,)'),
    (np.full((4, 4), -1), '-1..-1'), (np.full((4, 4), 300), '300..300'), ([['a']], 'whole numbers'), (None, 'whole numbers')])
def test_bad_masks(mask, words):
    for f in polygons, n_clicks, approximate:
        with pytest.raises(InputError) as e: f(mask, 2)
        assert words in str(e.value)

# chkstyle: ignore-node
@pytest.mark.parametrize('kw,words', [
    (dict(tolerance=-1), 'at least 0, not -1'), (dict(tolerance=float('nan')), 'not nan'), (dict(tolerance=float('inf')), 'not inf'),
    (dict(convention='papr'), "did you mean 'paper'"), (dict(background=255), '0..254 or None'), (dict(background=-1), '0..254 or None')])
def test_bad_settings(kw, words):
    for f in (lambda **k: n_clicks(masks[0], **k)),(lambda **k: outlines(masks, **k)):
        with pytest.raises(InputError) as e: f(**(dict(tolerance=2)|kw))
        assert words in str(e.value)

def test_a_bad_mask_is_named_in_any_process():
    bad = masks*8
    bad[130] = np.zeros((3, 3))
    for workers in 1,2:
        with pytest.raises(InputError, match='mask 130: .*float64'): outlines(bad, 2, workers=workers)

def test_nothing_to_do():
    for f in (lambda: outlines([], 2)),(lambda: trade_off([])),(lambda: calibrate([])):
        with pytest.raises(InputError, match='no masks'): f()
    empty = [np.zeros((5, 7), np.uint8), np.full((3, 3), void, np.uint8)]
    o = outlines(empty, 2)
    assert len(o)==0 and o.shapes.tolist()==[[5,7],[3,3]] and len(o.of(1))==0
    assert (o.paint(0, o.of(0))==0).all() and polygons(empty[1], 2, background=None)==[]
    with pytest.raises(InputError, match='is void'): trade_off(empty[1:])
    with pytest.raises(InputError, match='class 3, of 2'): trade_off(masks, (2,), n_classes=2)

@pytest.mark.parametrize('convention', [*conventions])
@pytest.mark.parametrize('background', [0, None])
class TestInvariants:
    def test_tolerance_0_is_the_mask(self, convention, background):
        c = Convention(**{**vars(conventions[convention]), 'holes': True, 'min_area': 0})
        for m in masks[:6]: assert (approximate(m, 0, c, background)==m)[m!=void].all()

    def test_turned_and_flipped(self, convention, background):
        for tol,eps in (0, .02),(3, .15):
            n = np.array([[n_clicks(f(m), tol, convention, background) for f in (np.asarray, np.rot90, np.flipud, np.transpose)] for m in masks[:6]]).sum(0)
            assert abs(n/n[0]-1).max()<eps

    def test_clicks_fall_with_tolerance(self, convention, background):
        df = trade_off(masks[:10], (0, 1, 2, 4, 8, 16), convention=convention, background=background)
        assert (np.diff(df.total)<0).all() and (np.diff(df.miou)<0).all()

    def test_components(self, convention, background):
        c = conventions[convention]
        for m in masks[:6]:
            ps = polygons(m, 3, convention, background)
            assert [(p.cls, p.at) for p in ps]==sorted((p.cls, p.at) for p in ps)
            for p in ps:
                lab,_ = ndimage.label(m==p.cls, np.ones((3, 3)) if c.connectivity==8 else None)
                mine = lab==lab[p.at]
                assert p.area==mine.sum()>=c.min_area and mine.ravel().argmax()==p.at[0]*m.shape[1]+p.at[1]
                assert p.clicks==sum(len(r)+c.closing for r in (p.points, *p.holes)) and p.points.dtype==np.float32

@pytest.mark.parametrize('convention', ['paper', 'holes', 'cv2'])
def test_workers_and_file(convention, tmp_path):
    some = masks*2
    a,b = (outlines(some, 2, convention, workers=w) for w in (1, 2))
    a.save(tmp_path/'o.npz')
    for o in b,Outlines.load(tmp_path/'o.npz'):
        for k,v in vars(a).items(): assert np.array_equal(v, getattr(o, k)) and v.dtype==getattr(o, k).dtype
    assert a.clicks.sum()==sum(n_clicks(m, 2, convention) for m in some)

def test_least_price(): assert n_clicks(np.eye(8, dtype=int), 2, Convention(min_clicks=3))==24

def test_other_types_of_mask():
    for t in bool,np.int64,np.int8: assert n_clicks((masks[0]==1).astype(t), 2)==n_clicks((masks[0]==1).astype(np.uint8), 2)
    m = masks[0][::2,::-1]
    assert n_clicks(m, 2)==n_clicks(m.copy(), 2)

def test_parts_paint_what_they_hold():
    m,o = masks[0],outlines(masks, 1)
    ids = o.of(0)[::2]
    part = o.paint(0, ids, void)
    assert (part==paint([o.polygon(p) for p in ids], m.shape, void)).all() and set(np.unique(part))<={*o.cls[ids].tolist(), void}

def test_input_stays_as_it_was():
    m = masks[0].copy()
    m.flags.writeable = False
    for k in conventions: approximate(m, 2, k)
    assert np.array_equal(m, masks[0])

centre = np.hypot(*np.mgrid[-40:41,-40:41])
def on(shape): return np.zeros(shape, np.uint8)

def box(mask, edge, cls):
    "A square of a class, `edge` pixels from the border"
    mask[edge:-edge or None,edge:-edge or None] = cls
    return mask

def frames(*edges): # Squares in one another, of classes in turn
    m = on((70, 70))
    for k,e in enumerate(edges): box(m, e, 1+k%3)
    return m

def letter_c(gap):
    "A thin C with a disc in its mouth"
    m = np.select([centre<20, centre<24], [2, 1]).astype(np.uint8)
    m[40-gap:40+gap,60:] = np.where(m[40-gap:40+gap,60:]==1, 0, m[40-gap:40+gap,60:])
    return m

def spirals():
    "Two arms round one another, and an object between them"
    turn = (np.arctan2(*np.mgrid[-40:41,-40:41])/np.pi+centre/10)%2
    m = np.where(centre<38, np.where(turn<1, 1, 2), 0).astype(np.uint8)
    m[centre<5] = 3
    return m

# chkstyle: ignore-node
around = dict(frame=frames(5, 8), thick=frames(5, 15), border=frames(0, 2), hairline=frames(3, 4), many=frames(0, 2, 4, 6, 8, 20), back=frames(2, 5, 30, 31),
    tyre=np.select([centre<20, centre<24], [2, 1]).astype(np.uint8), rings=(centre<39)*(1+(centre//3%3)).astype(np.uint8), spirals=spirals(),
    c=letter_c(3), slit=letter_c(1), speck=np.where(centre<1, 2, centre<3).astype(np.uint8))

@pytest.mark.parametrize('convention', [o for o in conventions if o!='no_crumbs'])
@pytest.mark.parametrize('name', around)
def test_a_thin_object_leaves_what_it_surrounds(name, convention):
    m = around[name]
    for background in 0,None: assert (approximate(m, 0, convention, background)==m)[m>0].all()
    o = outlines([m], 0, convention, workers=1)
    index = o.index(0, o.of(0))
    assert np.array_equal(o.cls[index[m>0]], m[m>0])

@pytest.mark.parametrize('name', ['frame', 'thick', 'tyre', 'back', 'c'])
def test_it_does_with_a_tolerance_too(name):
    m = around[name]
    for t in .5,1.,2.: assert min(image_iou(approximate(m, t), m).values())>.6

def test_every_drawn_pixel_of_noise_is_right():
    rng = np.random.default_rng(3)
    for _ in range(40):
        m = rng.integers(0, 5, rng.integers(1, 30, 2)).astype(np.uint8)
        m[m==4] = void
        assert (approximate(m, 0)==m)[(m>0)&(m<void)].all() and (approximate(m, 0, background=None)==m)[m<void].all()

def test_equal_areas_go_by_pixels_then_by_place():
    square = np.array([[0,0],[0,4],[4,4],[4,0]], np.float32)
    a,b,c = (Polygon(k, square, 5, area, (0, 0)) for k,area in ((1, 9), (2, 25), (3, 9)))
    for polys,top in ([a, b], 1),([b, a], 1),([a, c], 3),([c, a], 1),([c, b, a], 1): assert {*np.unique(paint(polys, (5, 5)))}=={top}

@pytest.mark.parametrize('rotated', range(4))
def test_the_order_does_not_depend_on_where_things_are(rotated):
    for m in around.values():
        turned = np.rot90(m, rotated)
        assert np.array_equal(np.rot90(approximate(m, 0), rotated), approximate(turned, 0))

def test_people_who_draw_a_frame_last_do_not_fill_it():
    frame,inside = (Polygon(k, np.array([[e,e],[e,59-e],[59-e,59-e],[59-e,e]], np.float32), 5, 10**6*(k==2), (0, 0)) for k,e in ((1, 2), (2, 6)))
    for polys in [frame, inside],[inside, frame]: assert paint(polys, (60, 60))[30,30]==2

def test_what_opencv_counts_it_paints(tmp_path):
    import cv2
    for m in masks[:6]:
        ps,want = polygons(m, 3, 'cv2'),np.zeros(m.shape, np.uint8)
        for p in sorted(ps, key=lambda p: (-p.enclosed, -p.area)): cv2.fillPoly(want, [p.points[:,::-1].astype(np.int32)], p.cls)
        assert np.array_equal(approximate(m, 3, 'cv2'), want)
    o = outlines(masks[:6], 3, 'cv2', workers=1)
    o.save(tmp_path/'o.npz')
    again = Outlines.load(tmp_path/'o.npz')
    for i in range(6):
        assert np.array_equal(again.paint(i, again.of(i)), approximate(masks[i], 3, 'cv2'))
        assert np.array_equal(again.index(i, again.of(i))>=0, approximate(masks[i], 3, 'cv2')>0)
    assert again.cv2.all() and not outlines(masks[:2], 3, workers=1).cv2.any()

def test_outlines_of_a_file_without_the_painter_are_ours(tmp_path):
    o = outlines(masks[:3], 2, workers=1)
    np.savez(tmp_path/'o.npz', **{k: v for k,v in vars(o).items() if k!='cv2'})
    again = Outlines.load(tmp_path/'o.npz')
    assert np.array_equal(again.paint(1, again.of(1)), o.paint(1, o.of(1))) and not again.cv2.any()
