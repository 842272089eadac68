// Polygons over an image, on a canvas. The model holds what was drawn; a view holds zoom, selection and hover.
// Points are [row, column] in pixels; (0, 0) is the centre of the first pixel, so the image begins at -0.5.
const SNAP = { mouse: 9, pen: 9, touch: 20 }, DOUBLE = 0.4 // how near a pointer hits a vertex, in screen pixels; seconds of a double click
const empty = () => ({ cls: -1, points: [], times: [] })
const dist = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1])
const clamp = (v, lo, hi) => Math.min(Math.max(v, lo), hi)
const area = pts => Math.abs(pts.reduce((s, [r, c], i) => { const [q, d] = pts[(i + 1) % pts.length]; return s + c * q - d * r }, 0)) / 2
const inside = ([r, c], pts) => pts.reduce((s, [r1, c1], i) => {
  const [r2, c2] = pts[(i + 1) % pts.length]
  return (r1 > r) !== (r2 > r) && c < c1 + (c2 - c1) * (r - r1) / (r2 - r1) ? !s : s
}, false)

function node(parent, tag, attrs = {}, text = '') {
  const o = document.createElement(tag)
  for (const [k, v] of Object.entries(attrs)) o.setAttribute(k, v)
  o.textContent = text
  parent.append(o)
  return o
}

function render({ model, el }) {
  const get = k => model.get(k), [H, W] = get('shape'), names = get('classes'), colours = get('colours'), readonly = get('readonly')
  const choices = names.map((_, i) => i).filter(i => i !== get('background'))
  let drawn, draft, cls = choices[0], sel = -1, hover = null, cursor = false, drag = null, space = false, last = null, frame = 0, bitmap = null, snap = SNAP.mouse
  const history = [], pointers = new Map(), view = { zoom: 1, r: (H - 1) / 2, c: (W - 1) / 2 }

  // The page. The attribute keeps JupyterLab's own shortcuts away from what is typed here.
  el.replaceChildren()
  const root = node(el, 'div', { class: 'dal-annotator', 'data-lm-suppress-shortcuts': '' })
  const chooser = node(root, 'div', { class: 'dal-row', role: 'group', 'aria-label': 'Class' })
  const chips = choices.map((i, n) => {
    const chip = node(chooser, readonly ? 'span' : 'button', { class: 'dal-chip', style: `--dal: ${colours[i]}` }, names[i])
    if (!readonly && n < 9) node(chip, 'kbd', {}, n + 1)
    chip.onclick = e => { choose(i); refocus(e) }
    return chip
  })
  const canvas = node(root, 'canvas', { tabindex: 0, role: 'application', 'aria-label': readonly ? 'Image with polygons' : 'Image to draw polygons on' })
  root.style.width = `${Math.max(get('size') * W / Math.max(H, W), 320)}px`
  Object.assign(canvas.style, { width: `${get('size') * W / Math.max(H, W)}px`, aspectRatio: `${W} / ${H}` })
  const ctx = canvas.getContext('2d')
  const bar = node(root, 'div', { class: 'dal-row' })
  const button = (text, title, act) => { node(bar, 'button', { title }, text).onclick = e => { act(); refocus(e) } }
  if (!readonly) {
    button('Undo', 'Backspace or Ctrl-Z', undo)
    button('Close', 'Enter, double click, or click on the first vertex', close)
    button('Delete', 'Delete the selected polygon, or drop the open one (Escape)', () => sel < 0 ? drop() : remove())
  }
  button('Fit', '0; zoom with the wheel, pan with space and drag', fit)
  const status = node(bar, 'span', { class: 'dal-status', role: 'status' }), hint = node(root, 'div', { class: 'dal-hint' })
  const refocus = e => { if (e.detail) canvas.focus({ preventScroll: true }) }

  // Image coordinates to screen and back
  const scale = () => view.zoom * Math.min(canvas.clientWidth / W, canvas.clientHeight / H)
  const toScreen = ([r, c]) => [canvas.clientWidth / 2 + (c - view.c) * scale(), canvas.clientHeight / 2 + (r - view.r) * scale()]
  const toImage = ([x, y]) => [view.r + (y - canvas.clientHeight / 2) / scale(), view.c + (x - canvas.clientWidth / 2) / scale()]
  const within = ([r, c]) => [clamp(r, -0.5, H - 0.5), clamp(c, -0.5, W - 0.5)].map(v => Math.round(v * 100) / 100)
  const near = (a, b) => dist(toScreen(a), toScreen(b))
  function pan(dx, dy) {
    view.r = clamp(view.r - dy / scale(), -0.5, H - 0.5)
    view.c = clamp(view.c - dx / scale(), -0.5, W - 0.5)
    redraw()
  }
  function zoom(factor, [x, y] = [canvas.clientWidth / 2, canvas.clientHeight / 2]) {
    const at = toImage([x, y])
    view.zoom = clamp(view.zoom * factor, 1, 40)
    const [x2, y2] = toScreen(at)
    pan(x - x2, y - y2)
    if (view.zoom === 1) fit()
  }
  function fit() { Object.assign(view, { zoom: 1, r: (H - 1) / 2, c: (W - 1) / 2 }); redraw() }

  // What is recorded: every event with the working time, in which a pause counts for at most `idle` seconds
  const time = () => get('seconds') + (last === null ? 0 : Math.min(performance.now() / 1000 - last, get('idle')))
  const stamp = () => Math.round(time() * 1000) / 1000
  function record(what, more = {}, t = stamp()) {
    last = performance.now() / 1000
    const next = { drawn, draft, events: [...get('events'), { t, what, ...more }], seconds: t } // `read` runs after the first `set`
    for (const [k, v] of Object.entries(next)) model.set(k, v)
    model.save_changes()
    read()
  }
  const remember = () => history.push([drawn, draft])
  function read() { drawn = get('drawn'); draft = get('draft'); if (sel >= drawn.length) sel = -1; redraw() }

  // What a person can do
  function click(p, over) {
    const n = draft.points.length
    if (!n) {
      const i = hit(p)
      if (i >= 0 && i !== sel && !over) { sel = i; cls = drawn[i].cls; return redraw() }
    } else if (n > 2 && near(p, draft.points[0]) < snap) return close()
    else if (near(p, draft.points[n - 1]) < snap / 3) return time() - draft.times[n - 1] < DOUBLE ? close() : undefined
    sel = -1
    const t = stamp()
    draft = { cls, points: [...draft.points, p], times: [...draft.times, t] }
    record('click', { at: p }, t)
  }
  function close() {
    if (draft.points.length < 3) return
    remember()
    const t = stamp()
    drawn = [...drawn, { ...draft, times: [...draft.times, t] }]
    draft = empty()
    record('close', {}, t)
  }
  function undo() {
    if (draft.points.length) draft = { ...draft, points: draft.points.slice(0, -1), times: draft.times.slice(0, -1) }
    else if (history.length) { [drawn, draft] = history.pop(); sel = -1; if (draft.points.length) cls = draft.cls } else return
    record('undo')
  }
  function drop() {
    if (!draft.points.length) { sel = -1; return redraw() }
    remember()
    draft = empty()
    record('drop')
  }
  function remove() {
    if (sel < 0) return
    remember()
    const gone = sel
    drawn = drawn.filter((_, i) => i !== gone)
    sel = -1
    record('delete', { polygon: gone })
  }
  function choose(i) {
    cls = i
    if (draft.points.length) draft = { ...draft, cls }
    else if (sel >= 0) { remember(); drawn = drawn.map((p, j) => j === sel ? { ...p, cls } : p) } else return redraw()
    record('class', { cls })
  }
  const bySize = () => drawn.map((p, i) => [area(p.points), i]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).map(o => o[1])
  const hit = p => bySize().reverse().find(i => inside(p, drawn[i].points)) ?? -1
  const active = () => draft.points.length ? draft : drawn[sel]
  const vertexAt = p => active() ? active().points.findIndex(q => near(p, q) < snap) : -1
  function moveVertex(j, p) {
    const put = o => ({ ...o, points: o.points.map((q, i) => i === j ? p : q) })
    if (draft.points.length) draft = put(draft)
    else drawn = drawn.map((o, i) => i === sel ? put(o) : o)
  }

  // Pointers: mouse, pen and touch alike
  const where = e => { const b = canvas.getBoundingClientRect(); return [e.clientX - b.left, e.clientY - b.top] }
  canvas.onpointerdown = e => {
    e.preventDefault()
    canvas.focus({ preventScroll: true })
    canvas.setPointerCapture(e.pointerId)
    snap = SNAP[e.pointerType] ?? SNAP.mouse
    const at = where(e), p = within(toImage(at))
    pointers.set(e.pointerId, at)
    if (pointers.size > 1) drag = { what: 'pinch' }
    else if (e.button === 1 || space) { drag = { what: 'pan' }; if (space) space = 'used' }
    else if (e.button === 0) {
      const j = readonly ? -1 : vertexAt(p)
      drag = { what: j < 0 ? 'click' : 'vertex', j, at, p, over: e.shiftKey, touch: e.pointerType === 'touch' }
    }
  }
  canvas.onpointermove = e => {
    const at = where(e), old = pointers.get(e.pointerId)
    hover = within(toImage(at))
    cursor = false
    if (old && drag) {
      const moved = drag.at && dist(at, drag.at) > (drag.touch ? 10 : 4)
      if (drag.what === 'pinch' && pointers.size === 2) {
        const other = [...pointers.entries()].find(([id]) => id !== e.pointerId)[1]
        zoom(dist(at, other) / Math.max(dist(old, other), 1), other)
      } else if (drag.what === 'pan') pan(at[0] - old[0], at[1] - old[1])
      else if (drag.what === 'click' && moved && (drag.touch || readonly)) drag = { what: 'pan' }
      else if (drag.what === 'vertex' && (drag.moved || moved)) {
        if (!drag.moved && !draft.points.length) remember()
        drag.moved = true
        moveVertex(drag.j, hover)
      }
      pointers.set(e.pointerId, at)
    }
    redraw()
  }
  canvas.onpointerup = e => {
    pointers.delete(e.pointerId)
    const d = drag
    if (!pointers.size) drag = null
    if (!d || readonly) return
    if (d.what === 'vertex' && d.moved) record('move', { vertex: d.j })
    else if (d.what === 'click' || (d.what === 'vertex' && draft.points.length)) click(d.p, d.over)
  }
  canvas.onpointercancel = e => { pointers.delete(e.pointerId); drag = null; read() }
  canvas.onpointerleave = () => { hover = null; redraw() }
  canvas.oncontextmenu = e => e.preventDefault()
  canvas.addEventListener('wheel', e => { // a canvas without the focus lets the page scroll
    if (!canvas.matches(':focus')) return
    e.preventDefault()
    zoom(Math.exp(-e.deltaY * (e.deltaMode ? 16 : 1) * 0.002), where(e))
  }, { passive: false })

  // Keys
  const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
  const keys = { '+': () => zoom(1.25), '-': () => zoom(0.8), 0: fit }
  if (!readonly) Object.assign(keys, { Enter: close, Escape: drop, Delete: remove, Backspace: () => sel < 0 ? undo() : remove() })
  root.onkeydown = e => {
    if (e.target !== canvas && (e.key === 'Enter' || e.key === ' ')) return // a button is pressed
    const n = '123456789'.indexOf(e.key), command = e.ctrlKey || e.metaKey, step = arrows[e.key]
    if (command && e.key.toLowerCase() === 'z' && !readonly) undo()
    else if (command || e.altKey) return
    else if (e.key === ' ') space = space || true
    else if (step && e.target === canvas) {
      const by = e.shiftKey ? 10 : 1, from = hover ?? [Math.round(view.r), Math.round(view.c)]
      hover = within([from[0] + by * step[0], from[1] + by * step[1]])
      cursor = true
      redraw()
    } else if (n >= 0 && n < choices.length && !readonly) choose(choices[n])
    else if (keys[e.key]) keys[e.key]()
    else return
    e.preventDefault()
    e.stopPropagation()
  }
  root.onkeyup = e => {
    if (e.key !== ' ') return
    if (space === true && cursor && !readonly) click(hover, e.shiftKey)
    space = false
  }
  canvas.onblur = () => { space = false }

  // Drawing, at most once a frame
  function redraw() { frame ||= requestAnimationFrame(() => { frame = 0; paint() }) }
  function trace(pts) { pts.map(toScreen).forEach(([x, y], i) => i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)) }
  function stroke(colour, width) {
    ctx.lineJoin = 'round'
    for (const [style, w] of [['rgba(0, 0, 0, .6)', width + 2], [colour, width]]) { ctx.strokeStyle = style; ctx.lineWidth = w; ctx.stroke() }
  }
  function dot(p, r, fill, line) {
    const [x, y] = toScreen(p)
    ctx.beginPath()
    ctx.arc(x, y, r, 0, 7)
    ctx.fillStyle = fill
    ctx.fill()
    ctx.strokeStyle = line
    ctx.lineWidth = 1.5
    ctx.stroke()
  }
  function paint() {
    const dpr = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight, k = scale()
    if (canvas.width !== Math.round(w * dpr) || canvas.height !== Math.round(h * dpr)) { canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr) }
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0)
    ctx.clearRect(0, 0, w, h)
    ctx.imageSmoothingEnabled = k * dpr < 3
    if (bitmap) ctx.drawImage(bitmap, ...toScreen([-0.5, -0.5]), W * k, H * k)
    ctx.beginPath()
    for (const ring of get('reference')) { trace(ring); ctx.closePath() }
    ctx.strokeStyle = '#fff'
    ctx.lineWidth = 0.8
    ctx.stroke()
    for (const i of bySize()) {
      const p = drawn[i], colour = colours[p.cls]
      ctx.beginPath()
      for (const ring of [p.points, ...(p.holes ?? [])]) { trace(ring); ctx.closePath() }
      ctx.fillStyle = colour + (i === sel ? '80' : '40')
      ctx.fill('evenodd')
      stroke(colour, i === sel ? 3 : 2)
      if (readonly || i === sel) for (const q of p.points) dot(q, readonly ? 2.5 : 4, '#fff', colour)
    }
    const n = draft.points.length, colour = colours[draft.cls] ?? '#fff', closing = n > 2 && hover && near(hover, draft.points[0]) < snap
    if (n) {
      ctx.beginPath()
      trace(hover ? [...draft.points, closing ? draft.points[0] : hover] : draft.points)
      stroke(colour, 2)
      draft.points.forEach((q, i) => dot(q, i ? 3.5 : closing ? 8 : 5, i ? '#fff' : colour, i ? colour : '#fff'))
    }
    if (cursor) {
      const [x, y] = toScreen(hover)
      ctx.beginPath()
      for (const [a, b] of [[9, 0], [0, 9]]) { ctx.moveTo(x - a, y - b); ctx.lineTo(x + a, y + b) }
      stroke('#fff', 1.5)
    }
    canvas.style.cursor = space ? 'grab' : readonly ? 'default' : 'crosshair'
    tell(n)
  }
  function tell(n) {
    chips.forEach((chip, i) => { chip.hidden = readonly && !drawn.some(p => p.cls === choices[i]) })
    if (readonly) { hint.textContent = 'Thin and white: the outline of the mask. Click on the image, then the wheel zooms and a drag pans.'; return }
    const clicks = drawn.reduce((s, p) => s + p.points.length + 1, n), count = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`
    status.textContent = `${count(clicks, 'click')} · ${Math.round(time())} s · ${count(drawn.length, 'polygon')}${n ? ' and one open' : ''}`
    hint.textContent = n ? 'Click on the first vertex, or press Enter, to close. Backspace takes a vertex back, Escape drops the polygon.'
      : sel >= 0 ? 'Delete removes this polygon, 1–9 change its class, its vertices can be dragged. Click in it again to draw over it.'
        : 'Click along the outline of an object. Click inside a polygon to select it. Wheel: zoom. Space and drag: pan.'
    const now = (active() ?? { cls }).cls
    chips.forEach((chip, i) => chip.setAttribute('aria-pressed', choices[i] === now))
  }

  // Follow the model and the size of the page
  async function load() {
    bitmap = await createImageBitmap(new Blob([get('image_png')], { type: 'image/png' }))
    redraw()
  }
  model.on('change:drawn', read)
  model.on('change:draft', read)
  const size = new ResizeObserver(redraw), clock = setInterval(redraw, 1000)
  size.observe(canvas)
  read()
  load()
  return () => { size.disconnect(); clearInterval(clock); cancelAnimationFrame(frame); model.off('change:drawn', read); model.off('change:draft', read) }
}

export default { render }
