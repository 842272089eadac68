"What the benchmarks of speed share: measured code in processes of its own that take turns, the limits of the machine, and the work in a network"
import threading,time,warnings
from contextlib import ExitStack
from multiprocessing import get_context
from statistics import median
from types import SimpleNamespace

import torch

class Stop(Exception): pass

def sync(device):
    "Wait for the device"
    if device=='cuda': torch.cuda.synchronize()

def gpu_mb():
    "Peak memory of this process on the GPU, allocated and reserved, MB"
    if not torch.cuda.is_available(): return 0,0
    return torch.cuda.max_memory_allocated()/2**20,torch.cuda.max_memory_reserved()/2**20

class Meter:
    "What measured code tells its iterations: it waits after the warm-up and after every stretch of them, until the next is wanted"
    def __init__(self,
        conn, # To the parent
        device,
        warm:int, # Iterations before the first stretch
        n:int, # Least iterations of a stretch
        threads:int, # Of torch; 0 leaves the default
        loops:int=1, # Trainings side by side
    ):
        if threads: torch.set_num_threads(threads)
        self.conn,self.device,self.warm,self.n,self.loops,self.counts = conn,device,warm,n,loops,[]
        self.barrier,self.begun = threading.Barrier(loops, self.report),time.perf_counter()
    def loop(self): # Function to be called with the iterations done so far
        last,mark = 0,self.warm
        def tick(i):
            nonlocal last,mark
            if i<mark: return
            self.counts.append(i-last)
            self.barrier.wait()
            last,mark = i,i+self.n
        return tick
    def report(self):
        "Between two stretches; nothing is measured here"
        sync(self.device)
        self.conn.send(SimpleNamespace(n=sum(self.counts), s=time.perf_counter()-self.begun, mb=gpu_mb()))
        self.counts.clear()
        if not self.conn.recv(): raise Stop

def _child(conn, f, kw, meter):
    warnings.filterwarnings('ignore', r'.*(lr_scheduler|jit|no test pixel).*')
    try: f(Meter(conn, **meter), **kw)
    except (Stop, threading.BrokenBarrierError, EOFError): pass
    except BaseException as e: conn.send(f'{type(e).__name__}: {" ".join(str(e).split())[:140]}')

class Child:
    "A function in a process of its own"
    def __init__(self, f, kw, meter):
        self.conn,end = get_context('spawn').Pipe()
        self.process = get_context('spawn').Process(target=_child, args=(end, f, kw, meter))
        self.process.start()
        end.close()
    def __enter__(self): return self
    def __exit__(self, *_):
        try: self.conn.send(False)
        except OSError: pass
        self.process.join(20)
        if self.process.is_alive(): self.process.kill()
    def get(self):
        try: res = self.conn.recv()
        except EOFError: res = f'its process ended ({self.process.exitcode})'
        if isinstance(res, str): raise RuntimeError(res)
        return res

def stretch(children): # Milliseconds an iteration, of all that were done meanwhile
    "One stretch in each of the processes, side by side"
    start = time.perf_counter()
    for o in children: o.conn.send(True)
    n = sum(o.get().n for o in children)
    return (time.perf_counter()-start)/n*1e3

def turns(
    variants:dict, # Name to a function, its arguments, those of its `Meter`, and optionally how many processes of it
    repeats:int,
): # Name to `ms` (median of an iteration), `all` of them, `warm_s` and `mb`; or to why it failed
    "Measure all variants by turns, each in a process of its own that has warmed up before"
    res,live = {},{}
    with ExitStack() as stack:
        for k,(f,kw,meter,*n) in variants.items():
            children = [stack.enter_context(Child(f, kw, meter)) for _ in range(n[0] if n else 1)]
            try: first = [o.get() for o in children]
            except RuntimeError as e: res[k] = str(e)
            else: live[k],res[k] = children,SimpleNamespace(warm_s=max(o.s for o in first), mb=first[0].mb, all=[])
        for _ in range(repeats):
            for k,o in live.items(): res[k].all.append(stretch(o))
    for k in live: res[k].ms = median(res[k].all)
    return {k: res[k] for k in variants}

def seconds(f, device, repeats=5):
    "Median seconds of a call, after one to warm up"
    each = []
    for _ in range(repeats+1):
        sync(device)
        start = time.perf_counter()
        f()
        sync(device)
        each.append(time.perf_counter()-start)
    return median(each[1:])

def limits(device, quick=False): # Bytes a second; operations a second in float32 and bfloat16
    "What the machine can do: a large copy, bytes read and written, and large products of matrices"
    mb,n = (64, 512) if quick else (2048, 8192) if device=='cuda' else (512, 2048)
    a = torch.ones(mb*2**18, device=device)
    b,rate = torch.empty_like(a),{}
    copy = 2*a.nbytes/seconds(lambda: b.copy_(a), device)
    for k,dtype in ('fp32', torch.float32),('bf16', torch.bfloat16):
        x,y = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        rate[k] = 2*n**3/seconds(lambda: x@y, device)
    del a,b,x,y
    if device=='cuda': torch.cuda.empty_cache()
    return SimpleNamespace(copy=copy, **rate)

def work(net, shape): # Of one image: operations, and values that the convolutions read and write
    "What the convolutions and linear layers of a network do in a forward pass"
    flops,values,hooks = [],[],[]
    def seen(m, i, o):
        flops.append(2*m.weight.numel()*o.numel()//len(o)//m.weight.shape[0])
        values.append((i[0].numel()+o.numel())//len(o))
    for m in net.modules():
        if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)): hooks.append(m.register_forward_hook(seen))
    with torch.no_grad(): net.eval()(torch.zeros(1, *shape, device=next(net.parameters()).device))
    for o in hooks: o.remove()
    net.train()
    return sum(flops),sum(values)
