"nbdev's processing for tools/site.py; a module, so that the processes that carry it out can import it"
from nbdev.processors import FilterDefaults,rm_export

def keep_exported(cell):
    "In place of nbdev's `rm_export`: what is exported is kept, to be folded under its signature"
    if cell.cell_type!='code': return
    words = set(cell.directives_ or {})
    if 'hide' in words or 'default_exp' in words: del cell['source']
    elif words & {'export', 'exporti', 'exports'}: cell.metadata['exported'] = True

class KeepExported(FilterDefaults):
    def base_procs(self):
        return [keep_exported if o is rm_export else o for o in super().base_procs()]
