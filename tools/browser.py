"A headless Chromium, driven by its DevTools protocol, and a JupyterLab for it to open"
import base64,json,os,shutil,socket,subprocess,sys,time
from contextlib import contextmanager
from urllib.request import urlopen

import websocket

def find_chromium(): return next((p for n in ('chromium', 'chromium-browser', 'google-chrome', 'chrome') if (p := shutil.which(n))), None)

def wait_for(f, what, timeout=60, every=.1):
    "What `f` returns once it is true"
    end = time.time()+timeout
    while True:
        try:
            if res := f(): return res
        except (OSError, KeyError, IndexError, RuntimeError): pass
        if time.time()>end: raise TimeoutError(f'{what} after {timeout} s')
        time.sleep(every)

@contextmanager
def process(*cmd, **kw):
    "A process that ends with the block"
    p = subprocess.Popen([*map(str, cmd)], **kw)
    try: yield p
    finally:
        p.terminate()
        try: p.wait(10)
        except subprocess.TimeoutExpired: p.kill()

class Page:
    "One page of the browser"
    def __init__(self, url): self.ws,self.n,self.down = websocket.create_connection(url, timeout=60, suppress_origin=True),0,0
    def call(self, method, **params):
        self.n += 1
        self.ws.send(json.dumps(dict(id=self.n, method=method, params=params)))
        while (res := json.loads(self.ws.recv())).get('id')!=self.n: pass
        if 'error' in res: raise RuntimeError(f'{method}: {res["error"]["message"]}')
        return res['result']
    def js(self, code):
        "Value of an expression; promises are awaited"
        res = self.call('Runtime.evaluate', expression=code, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in res: raise RuntimeError(res['exceptionDetails'].get('exception', {}).get('description', str(res)))
        return res['result'].get('value')
    def wait(self, code, timeout=60): return wait_for(lambda: self.js(code), code, timeout)
    def mouse(self, kind, x, y, button='left', clicks=1):
        held = 0 if kind=='Released' else dict(none=0, left=1, middle=4)[button]
        self.call('Input.dispatchMouseEvent', type=f'mouse{kind}', x=x, y=y, button=button, buttons=held, clickCount=clicks)
    def click(self, x, y, **kw):
        self.mouse('Moved', x, y, 'none')
        self.mouse('Pressed', x, y, **kw)
        self.mouse('Released', x, y, **kw)
    def drag(self, a, b, button='left', steps=5):
        self.mouse('Moved', *a, 'none')
        self.mouse('Pressed', *a, button)
        for i in range(1, steps+1): self.mouse('Moved', *(p+(q-p)*i/steps for p,q in zip(a, b)), button)
        self.mouse('Released', *b, button)
    def touch(self, kind, *points): self.call('Input.dispatchTouchEvent', type=f'touch{kind}', touchPoints=[dict(x=x, y=y, id=i) for i,(x,y) in enumerate(points)])
    def key(self, key, code='', modifiers=0, kind='both'):
        text = dict(text=key) if len(key)==1 and not modifiers else dict(text='\r') if key=='Enter' else {}
        if kind in ('both', 'Down'): self.call('Input.dispatchKeyEvent', type='keyDown', key=key, code=code or key, modifiers=modifiers, **text)
        if kind in ('both', 'Up'): self.call('Input.dispatchKeyEvent', type='keyUp', key=key, code=code or key, modifiers=modifiers)
    def picture(self, path):
        with open(path, 'wb') as f: f.write(base64.b64decode(self.call('Page.captureScreenshot', format='png')['data']))

@contextmanager
def chromium(folder, width=1000, height=900, scale=1):
    "A page of a headless browser whose profile is in `folder`"
    with open(folder/'chromium.log', 'w') as log, process(find_chromium(), '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
        '--no-first-run', '--disable-extensions', '--disable-background-networking', '--remote-debugging-port=0', f'--user-data-dir={folder/"profile"}',
        f'--window-size={width},{height}', f'--force-device-scale-factor={scale}', 'about:blank', stdout=log, stderr=log):
        port = wait_for(lambda: (folder/'profile'/'DevToolsActivePort').read_text().split()[0], 'no browser')
        tabs = wait_for(lambda: [t for t in json.load(urlopen(f'http://127.0.0.1:{port}/json')) if t['type']=='page'], 'no page')
        page = Page(tabs[0]['webSocketDebuggerUrl'])
        page.call('Page.enable')
        page.call('Emulation.setFocusEmulationEnabled', enabled=True)
        yield page

@contextmanager
def jupyterlab(folder):
    "The address of a JupyterLab whose root, settings and runtime files are in `folder`"
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    quiet = folder/'settings'/'@jupyterlab'/'apputils-extension'
    quiet.mkdir(parents=True)
    (quiet/'notification.jupyterlab-settings').write_text('{"fetchNews": "false", "checkForUpdates": false}')
    (folder/'work').mkdir(exist_ok=True)
    env = os.environ|{f'JUPYTER_{k}_DIR': str(folder/k.lower()) for k in ('CONFIG', 'DATA', 'RUNTIME')}|dict(JUPYTERLAB_SETTINGS_DIR=str(folder/'settings'),
        JUPYTERLAB_WORKSPACES_DIR=str(folder/'workspaces'), IPYTHONDIR=str(folder/'ipython'))
    with open(folder/'jupyter.log', 'w') as log, process(sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', f'--ServerApp.port={port}',
        '--ServerApp.port_retries=0', '--IdentityProvider.token=', '--ServerApp.password=', '--LabApp.expose_app_in_browser=True', '--ServerApp.ip=127.0.0.1',
        f'--ServerApp.root_dir={folder}/work', cwd=folder, env=env, stdout=log, stderr=log):
        url = f'http://127.0.0.1:{port}'
        wait_for(lambda: urlopen(url+'/api', timeout=5).status==200, 'no JupyterLab')
        yield url
