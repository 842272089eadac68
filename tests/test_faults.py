"Sweeps whose processes are killed, whose disk is full, that are started twice: the same results, and a status that is true"
import json,os,re,signal,subprocess,sys,time
from pathlib import Path

import numpy as np, pandas as pd, pytest, yaml

from deep_al_illusions.learn.cache import held,prune,used
from deep_al_illusions.study.basics import digest
from deep_al_illusions.study.files import write_json
from deep_al_illusions.study.spec import run_id,Spec
from deep_al_illusions.loop.folder import columns,finished
from deep_al_illusions.loop.loop import run
from deep_al_illusions.loop.runs import load_runs
from deep_al_illusions.many.presets import runs_of
from deep_al_illusions.many.plans import Plan,plans
from deep_al_illusions.many.runner import prepare,sweep
from deep_al_illusions.many.status import overview,status

grid = dict(strategy=['random', 'margin', 'core_set'], trial=[1, 2, 3], cycles=2, epochs=40)
bin = Path(sys.executable).parent

def numbers(root, specs):
    "What must be equal between two sweeps: rows without their times, and purchases with their scores"
    res = {}
    for s in specs:
        with np.load(root/run_id(s)/'picks.npz') as z: bought = [z[k].tolist() for k in ('ids', 'cycle')]+[np.nan_to_num(z['score'], nan=-9).tolist()]
        res[run_id(s)] = pd.read_csv(root/run_id(s)/'cycles.csv')[columns[:5]].values.tolist(),bought
    return res

@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    "The numbers of the nine runs, each done in this process, and the grid as a file"
    d = tmp_path_factory.mktemp('undisturbed')
    (d/'grid.yaml').write_text(yaml.safe_dump(grid))
    specs = runs_of(str(d/'grid.yaml'))
    for s in specs: run(s, d/'runs', say=lambda o: None)
    return specs,d/'grid.yaml',numbers(d/'runs', specs)

@pytest.fixture
def few(tmp_path, undisturbed):
    "The same for the three runs of the first trial"
    (tmp_path/'few.yaml').write_text(yaml.safe_dump(grid|dict(trial=1)))
    specs = runs_of(str(tmp_path/'few.yaml'))
    return specs,tmp_path/'few.yaml',{run_id(s): undisturbed[2][run_id(s)] for s in specs}

def start(file, root, *args, workers=2):
    "A sweep in a session of its own, where Ctrl-C counts even if these tests were started in the background"
    args = [bin/'dal', 'sweep', file, '--runs', root, '--workers', str(workers), *map(str, args)]
    return subprocess.Popen(args, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

def processes():
    "Parent and command line of all processes"
    res = {}
    for p in Path('/proc').glob('[0-9]*'):
        try: res[int(p.name)] = int((p/'stat').read_text().rpartition(')')[2].split()[1]),(p/'cmdline').read_bytes().decode(errors='replace')
        except OSError: continue
    return res

def below(pid, words):
    "Descendants of a process with these words in their command line"
    all,found,next = processes(),[],[pid]
    while next:
        next = [k for k,(parent,_) in all.items() if parent in next]
        found += [k for k in next if words in all[k][1]]
    return found

def locked_files():
    "Device and inode of all files with an exclusive lock. Of a process that is being taken down, this is all that still shows it"
    res = set()
    for o in Path('/proc/locks').read_text().splitlines():
        if ' FLOCK ' not in o or ' WRITE ' not in o: continue
        major,minor,inode = o.split()[-3].split(':')
        res.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
    return res

def opened():
    "Lock files that a thread of some process has open. The first thread of a process may have ended before the others"
    res = set()
    for f in Path('/proc').glob('[0-9]*/task/[0-9]*/fd/*'):
        try: p = Path(os.readlink(f))
        except OSError: continue
        if p.name in ('.lock', '.sweep.lock'): res.add(p)
    return res

def holders(root):
    "Runs that some process is at work on, by /proc"
    locks,files = locked_files(),opened()
    def is_held(p):
        s = p.stat()
        return p in files or (s.st_dev, s.st_ino) in locks
    return {p.parent.name for o in ('.lock', '.sweep.lock') for p in root.glob(f'*/{o}') if is_held(p)}

def is_true(root, specs):
    "Compare `status` with what the processes and files say, before and after it"
    look = lambda: ({run_id(s) for s in specs if (root/run_id(s)/'DONE').exists()},holders(root))
    (done,busy),df,(done_after,busy_after) = look(),status(root, specs),look()
    said = {k: {*d.run} for k,d in df.groupby('state')}
    assert len(df)==len(specs) and done<=said.get('done', set())<=done_after, (said, done, done_after)
    assert said.get('running', set())<=busy|busy_after, (said, busy, busy_after)
    assert (busy&busy_after)-done_after<=said.get('running', set()), (said, busy, busy_after)
    return said

def wait(f, seconds=180):
    end = time.time()+seconds
    while not (o := f()):
        assert time.time()<end, 'waited in vain'
        time.sleep(.2) # Looking through all processes takes a processor too
    return o

def gone(pid):
    "Is nothing left of a process but what its parent has still to read? Its locks are free then"
    states = []
    for o in Path(f'/proc/{pid}/task').glob('*/stat'):
        try: states.append(o.read_text().rpartition(')')[2].split()[0])
        except OSError: return not Path(f'/proc/{pid}').exists() # A thread that has just ended; look again
    return {*states}<={'Z', 'X'} and len(states)<=1

def kill(pid):
    "Kill a process, and wait until its locks are free"
    os.kill(pid, signal.SIGKILL)
    wait(lambda: gone(pid))

linux = pytest.mark.skipif(not Path('/proc/self/fd').exists(), reason='looks into /proc')

@linux
def test_worker_kernel_and_scheduler_are_killed(tmp_path, undisturbed):
    (specs,file,want),root = undisturbed,tmp_path/'r'
    p = start(file, root)
    kernels = lambda: below(p.pid, 'ipykernel_launcher')
    wait(lambda: len(kernels())==2 and len(is_true(root, specs).get('running', ()))==2)
    worker = next(k for k in below(p.pid, 'spawn_main') if below(k, 'ipykernel_launcher'))
    kill(worker)
    for _ in range(5): is_true(root, specs)
    kill(wait(kernels)[0])
    for _ in range(5): is_true(root, specs)
    n = len(is_true(root, specs).get('done', ()))
    wait(lambda: len(is_true(root, specs).get('done', ()))>n)
    left = kernels()+below(p.pid, 'spawn_main')
    os.kill(p.pid, signal.SIGKILL)
    p.communicate()
    wait(lambda: not {*left}&{*processes()})
    said = is_true(root, specs)
    assert 'running' not in said and 'failed' not in said and said['waiting'] and said['done'], said
    r = subprocess.run([bin/'dal', 'status', '--all', '--runs', root], capture_output=True, text=True)
    assert f'{len(said["waiting"])} waiting' in r.stdout and 'is not at work; the same command goes on' in r.stdout, r.stdout
    p = start(file, root)
    out,err = p.communicate(timeout=400)
    assert p.returncode==0 and f'{len(specs)} of {len(specs)} runs finished in {root}' in out, err
    assert numbers(root, specs)==want and [*is_true(root, specs)]==['done'] and not [*root.glob('sweeps/*.json')]
    begin = time.time()
    p = start(file, root)
    assert p.wait()==0 and time.time()-begin<10

@linux
def test_two_sweeps_of_one_folder_share_the_work(tmp_path, few):
    (specs,file,want),root = few,tmp_path/'r'
    both = [start(file, root, workers=1) for _ in range(2)]
    said = [(p.communicate(timeout=300),p.returncode) for p in both]
    assert [code for _,code in said]==[0, 0] and numbers(root, specs)==want, said
    assert sum('is at work in' in err for (_,err),_ in said)==1, said
    assert all(len([*root.glob(f'{run_id(s)}/run.ipynb')])==1 for s in specs) and not [*root.glob('trainings/.*')]
    assert len(load_runs(root)[0])==len(specs)*(1+grid['cycles'])

def test_ctrl_c_and_terminate_stop_it_cleanly(tmp_path, few):
    (specs,file,_),root = few,tmp_path/'r'
    for sig in signal.SIGINT,signal.SIGTERM:
        p = start(file, root)
        wait(lambda: len(below(p.pid, 'ipykernel_launcher'))==2)
        left = below(p.pid, '')
        os.killpg(p.pid, sig) if sig==signal.SIGINT else os.kill(p.pid, sig)
        out,err = p.communicate(timeout=120)
        lines = [o for o in re.split(r'[\r\n]', err) if o.strip() and 'training' not in o]
        assert p.returncode==1 and lines==['dal sweep: stopped; the same command goes on where it was'], (p.returncode, err)
        wait(lambda: all(map(gone, left)))

@pytest.fixture
def small_disk(tmp_path):
    "A disk of 1 MB that can be filled, and mounted for reading only"
    d = tmp_path/'disk'
    d.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', d], capture_output=True).returncode: pytest.skip('mounting needs to be root on Linux')
    yield d
    subprocess.run(['umount', '-l', d])

def test_a_full_disk(small_disk, few, tmp_path, cli):
    specs,file,want = few
    r = cli('dal', 'sweep', file, '--runs', small_disk/'r', '--workers', '2')
    assert r.returncode==1 and 'no space is left on the disk' in r.stderr and 'Traceback' not in r.stderr, r.stderr
    assert not [*small_disk.rglob('.*.pt')] and not [*small_disk.rglob('.*.csv')]
    said = {k: {*d.run} for k,d in status(small_disk/'r', specs).groupby('state')}
    have = [s for s in specs if run_id(s) in said.get('done', ())]
    assert numbers(small_disk/'r', have)=={run_id(s): want[run_id(s)] for s in have} and len(have)<len(specs)
    r = cli('dal', 'status', '--runs', small_disk/'r')
    assert r.returncode==0 and 'waiting' in r.stdout, r.stderr
    subprocess.run(['mount', '-o', 'remount,size=64m', small_disk], check=True)
    for s in specs: run(s, small_disk/'r', say=lambda o: None)
    assert numbers(small_disk/'r', specs)==want

def test_a_folder_that_cannot_be_written(small_disk, few, cli):
    specs,file,_ = few
    root = small_disk/'r'
    run(specs[0], root, say=lambda o: None)
    subprocess.run(['mount', '-o', 'remount,ro', small_disk], check=True)
    for cmd in ('dal', 'sweep', file),('dal', 'run', '--strategy', 'margin'):
        r = cli(*cmd, '--runs', root)
        assert r.returncode==2 and 'cannot write in' in r.stderr and r.stderr.strip().count('\n')==0, r.stderr
    r = cli('dal', 'status', file, '--runs', root)
    assert r.returncode==0 and '1 done' in r.stdout and f'{len(specs)-1} waiting' in r.stdout, r.stderr

def test_a_run_that_fails_stops_no_other_and_is_told(tmp_path, cli):
    root = tmp_path/'r'
    specs = [Spec(cycles=0, epochs=2, lr=o) for o in (.1, 1e9)]
    failed = sweep(specs, root, 1)
    assert [*failed]==[run_id(specs[1])] and 'diverged' in failed[run_id(specs[1])]
    df = status(root, specs)
    assert [*df.state]==['failed', 'done'] and 'diverged' in df.why[0] and 'diverged' in (root/df.run[0]/'run.ipynb').read_text()
    assert 'diverged' in cli('dal', 'status', '--runs', root).stdout
    assert prepare(specs, root)==[specs[1]] # To be tried again

def test_a_kernel_that_always_dies_is_tried_twice(tmp_path, monkeypatch):
    from deep_al_illusions.many import kernels as runner
    class DeadKernelError(RuntimeError): pass
    tries = []
    def die(*a):
        tries.append(a)
        raise DeadKernelError('Kernel died')
    monkeypatch.setattr(runner, 'execute', die)
    s = Spec(cycles=0, epochs=1)
    assert 'died twice' in runner.execute_run(s, tmp_path) and len(tries)==2 and [*status(tmp_path, [s]).state]==['failed']

def test_another_version_on_a_worker_is_refused(tmp_path):
    from deep_al_illusions.many.kernels import execute_run
    assert 'the sweep 9.9' in execute_run(Spec(cycles=0, epochs=1), tmp_path, version='9.9') and not [*tmp_path.iterdir()]

def test_a_flipped_bit_is_found_and_trained_again(tmp_path):
    specs = [Spec(strategy=o, cycles=1, epochs=3) for o in ('margin', 'entropy')]
    for s in specs: run(s, tmp_path/'clean', say=lambda o: None)
    run(specs[0], tmp_path/'r', say=lambda o: None)
    for p in tmp_path.glob('r/trainings/*.pt'):
        b = bytearray(p.read_bytes())
        b[len(b)//2] ^= 1
        p.write_bytes(b)
    with pytest.warns(UserWarning, match='is damaged'): run(specs[1], tmp_path/'r', say=lambda o: None)
    assert numbers(tmp_path/'r', specs)==numbers(tmp_path/'clean', specs)

def test_the_cache_stays_within_its_bound_and_results_do_not_change(tmp_path, monkeypatch, cli):
    s = Spec(strategy='margin', cycles=3, epochs=2)
    run(s, tmp_path/'a', say=lambda o: None)
    size = used(tmp_path/'a'/'trainings')
    monkeypatch.setenv('DAL_CACHE_GB', str(size/2))
    run(s, tmp_path/'b', say=lambda o: None)
    assert 0<used(tmp_path/'b'/'trainings')<=size/2 and numbers(tmp_path/'a', [s])==numbers(tmp_path/'b', [s])
    r = cli('dal', 'prune', '--runs', tmp_path/'a', '--keep', '0')
    assert r.returncode==0 and r.stdout.startswith('4 files') and not [*tmp_path.glob('a/trainings/*.pt')], r.stdout+r.stderr
    assert finished(tmp_path/'a'/run_id(s)) and prune(tmp_path/'nowhere', 1)==(0, 0)

# chkstyle: ignore-node
damaged = {'spec.json': ['', '[]', '{"cycles": "x"}'], 'live.json': ['[]', '{"share": "x"}', '{"share": .5'], 'failed.json': ['[]', '{"why": null}', '{"why": "one\\ntwo"}'],
    'cycles.csv': ['', '\0'], 'DONE': ['', '[]', '{"spec.json": 3}'], '../sweeps/x.json': ['', '[]', '{}', '{"title": "a", "pid": 1, "host": "h", "time": 1, "runs": {"a": 3}}']}

@pytest.mark.filterwarnings('ignore:.* cannot be read; delete it')
@pytest.mark.parametrize('name', damaged)
def test_damaged_notes_do_no_harm(name, tmp_path):
    s = Spec(cycles=1, epochs=1)
    (folder := tmp_path/run_id(s)).mkdir()
    (tmp_path/'sweeps').mkdir()
    for o in 'spec.json', 'cycles.csv': (folder/o).write_text('{}')
    for text in damaged[name]:
        (folder/name).write_text(text)
        for o in (None, [s]): assert overview(tmp_path, o).count('\n')==5 and 'nan' not in overview(tmp_path, o)
    (folder/name).unlink()
    (folder/name).mkdir()
    assert [*status(tmp_path, [s]).state]==['failed' if name=='failed.json' else 'waiting']

def test_watching_disturbs_nobody(tmp_path):
    import fcntl
    for held_by,word in (fcntl.LOCK_SH, False),(fcntl.LOCK_EX, True):
        with open(tmp_path/'.lock', 'w') as f:
            fcntl.flock(f, held_by)
            assert held(tmp_path/'.lock')==word

def test_a_plan_of_finished_runs_goes(tmp_path):
    s = Spec(cycles=0, epochs=1)
    plan = Plan(tmp_path, [s], 'dal sweep this')
    plan.end(False)
    assert 'dal sweep this was started' in overview(tmp_path)
    run(s, tmp_path, say=lambda o: None)
    assert 'no sweep is at work' in overview(tmp_path)
    assert sweep([s], tmp_path)=={} and not [*tmp_path.glob('sweeps/*.json')]

def test_a_sweep_signs_the_plan_that_it_takes_over(tmp_path):
    specs = [Spec(cycles=0)]
    first,second = [Plan(tmp_path, specs, o) for o in ('first', 'second')]
    assert [o['title'] for o in plans(tmp_path)]==['first']
    first.end(False)
    second.hold()
    assert [(o['title'], o['alive']) for o in plans(tmp_path)]==[('second', True)]
    second.end(True)
    assert not plans(tmp_path)

def test_a_file_in_place_of_a_run_folder_stops_no_other(tmp_path):
    specs = [Spec(cycles=0, epochs=1, trial=t) for t in (1, 2)]
    (tmp_path/run_id(specs[0])).write_text('')
    assert [*sweep(specs, tmp_path, 1)]==[run_id(specs[0])] and finished(tmp_path/run_id(specs[1]))

def test_runs_of_another_version_are_told(tmp_path):
    s = Spec(cycles=0, epochs=1)
    folder = run(s, tmp_path, say=lambda o: None)
    was,done = [json.loads((folder/o).read_text()) for o in ('provenance.json', 'DONE')]
    write_json(folder/'provenance.json', was|dict(numbers='0.0.9', versions=dict(deep_al_illusions='0.0.9')))
    write_json(folder/'DONE', done|{'provenance.json': digest((folder/'provenance.json').read_bytes())})
    with pytest.warns(UserWarning, match='1 finished runs in .* are of version 0.0.9'): assert sweep([s], tmp_path)=={}
    assert status(tmp_path, [s]).why[0].startswith('version 0.0.9')

@pytest.fixture
def cluster(tmp_path):
    "A Dask scheduler and a worker in processes of their own"
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    s = subprocess.Popen([bin/'dask', 'scheduler', '--no-dashboard', '--port', '0', '--scheduler-file', tmp_path/'s.json', '--host', '127.0.0.1'], **quiet)
    w = subprocess.Popen([bin/'dask', 'worker', '--scheduler-file', tmp_path/'s.json', '--nthreads', '2', '--no-nanny', '--no-dashboard', '--resources', 'GPU=2'], **quiet)
    address = wait(lambda: (tmp_path/'s.json').exists() and re.search(r'tcp://[\d.:]+', (tmp_path/'s.json').read_text()))[0]
    yield address,s,w
    for p in s,w: p.kill()

def test_a_scheduler_elsewhere_with_resources_and_its_death(cluster, tmp_path, few):
    (specs,file,want),(address,scheduler,worker),root = few,cluster,tmp_path/'r'
    p = start(file, root, '--scheduler', address, '--resources', 'GPU=1')
    wait(lambda: len(below(worker.pid, 'ipykernel_launcher'))==2)
    wait(lambda: 'done' in {*status(root, specs).state})
    scheduler.kill()
    out,err = p.communicate(timeout=180)
    assert p.returncode==2 and 'the Dask scheduler is gone' in err and 'Traceback' not in err, err
    wait(lambda: not below(worker.pid, 'ipykernel_launcher'))
    for s in specs: run(s, root, say=lambda o: None)
    assert numbers(root, specs)==want

def test_a_scheduler_that_is_not_there(cli, tmp_path):
    for args,words in (['--scheduler', 'tcp://127.0.0.1:1'], 'no Dask scheduler answers at'),(['--resources', 'GPU=1'], 'give --scheduler too'),(['--resources', 'GPU', '--scheduler', 'x'], 'expected NAME=N'):
        r = cli('dal', 'sweep', 'lowest', '--runs', tmp_path/'r', *args)
        assert r.returncode==2 and words in r.stderr and len([o for o in r.stderr.strip().splitlines()])==1, r.stderr
