// Deploying: drop a folder or an archive, and see at once what is wrong with it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask, Failure, messageOf, seg } from '../api';
import { bytes, count } from '../text';
import { Icon } from '../ui/icons';
import { Field, Foreign, Notice, tell } from '../ui/parts';
import { fromArchive, fromDrop, fromFiles, maxContent, namesIn, type Source } from './archive';
import { Broken, deploy, environmentOf, functionID, memorySizes } from './upload';

/** nameRule matches the names that functions may have. */
export const nameRule = /^[a-z][-a-z0-9]{1,61}[a-z0-9]$/;

/** Deploy creates a function, or a new version of the given one. */
export function Deploy({ name: given }: { name: string }) {
  const [source, setSource] = useState<Source | null>(null);
  const [name, setName] = useState(given);
  const [entrypoint, setEntrypoint] = useState('main.handler');
  const [memory, setMemory] = useState('128');
  const [timeout, setTime] = useState('3');
  const [environment, setEnvironment] = useState('');
  const [tags, setTags] = useState('');
  const [runtimes, setRuntimes] = useState<string[]>([]);
  const [runtime, setRuntime] = useState('');
  const [network, setNetwork] = useState('');
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const [broken, setBroken] = useState<Failure['broken']>(null);
  const [over, setOver] = useState(false);
  const [progress, setProgress] = useState<{ what: string; part: number } | null>(null);
  const folder = useRef<HTMLInputElement>(null);
  const archive = useRef<HTMLInputElement>(null);

  // Without the list, the default remains, which is what most functions need.
  useEffect(() => {
    ask<{ runtimes: string[] }>('GET', '/runtimes').then((found) => setRuntimes(found.runtimes), () => undefined);
  }, []);

  // The error was about the field's previous value.
  const settle = (...fields: string[]) => {
    setBroken(null);
    setWrong((w) => Object.fromEntries(Object.entries(w).filter(([field]) => field !== '' && !fields.includes(field))));
  };

  const take = async (make: () => Source | Promise<Source>) => {
    try {
      const found = await make();
      setSource(found);
      settle('content', 'entrypoint');
      if (!name && nameRule.test(found.name)) setName(found.name);
      const modules = namesIn(found).filter((path) => /^[a-z_]\w*\.py$/i.test(path));
      const file = ['main.py', 'index.py'].find((path) => modules.includes(path)) ?? (modules.length === 1 ? modules[0] : undefined);
      if (file) setEntrypoint(file.replace(/\.py$/, '.handler'));
    } catch (err) {
      setWrong((w) => ({ ...w, content: messageOf(err) }));
    }
  };

  const submit = async (allowBroken = false) => {
    setBroken(null);
    const found = check({ source, name, entrypoint, memory, timeout, environment, tags });
    setWrong(found.wrong);
    if (!source || Object.keys(found.wrong).length > 0) return;
    try {
      setProgress({ what: 'Packing', part: 0 });
      const id = await functionID(name);
      const op = await deploy(
        source,
        {
          functionId: id, runtime, allowNet: network.trim(), entrypoint, environment: found.environment, tag: found.tags,
          resources: { memory: String(Number(memory) * 1048576) }, executionTimeout: `${timeout}s`, allowBroken,
        },
        (what, part) => setProgress({ what, part }),
      );
      tell(`${name} has a new version: ${op.response?.id ?? ''}`);
      location.hash = `#/functions/${seg(id)}`;
    } catch (err) {
      if (err instanceof Failure && err.broken) {
        setBroken(err.broken);
        if (err.fields['entrypoint']) setWrong({ entrypoint: err.broken.message });
        return;
      }
      const fields = err instanceof Failure ? err.fields : {};
      const known = ['content', 'functionId', 'name', 'entrypoint', 'resources.memory', 'executionTimeout', 'environment', 'tag', 'runtime', 'allowNet'];
      const placed = Object.fromEntries(Object.entries(fields).map(([f, text]) => [known.includes(f) ? f : f.startsWith('environment') ? 'environment' : '', text]));
      setWrong(Object.keys(placed).length ? placed : { '': messageOf(err) });
    } finally {
      setProgress(null);
    }
  };

  const size = source?.archive ? source.archive.size : (source?.files.reduce((sum, f) => sum + f.file.size, 0) ?? 0);
  return (
    <div class="page narrow">
      <header class="page-head"><h1 tabIndex={-1}>{given ? `Deploy ${given}` : 'New function'}</h1></header>
      <form class="deploy" noValidate onSubmit={(e) => { e.preventDefault(); void submit(); }}>
        <div
          class={`drop ${over ? 'over' : ''} ${wrong['content'] ? 'wrong' : ''}`} role="group" aria-label="Code"
          onDragOver={(e) => { e.preventDefault(); setOver(true); }}
          onDragLeave={() => setOver(false)}
          onDrop={(e) => { e.preventDefault(); setOver(false); const data = e.dataTransfer; if (data) void take(() => fromDrop(data)); }}
        >
          <Icon name={source ? 'check' : 'upload'} size={30} />
          {source ? (
            <p><b><Foreign text={source.archive?.name ?? (source.name || source.files[0]!.path)} /></b>{' '}
              <span class="muted">{source.archive ? bytes(size) : `${count(source.files.length)} file${source.files.length === 1 ? '' : 's'}, ${bytes(size)}`}{source.skipped > 0 && `, ${count(source.skipped)} left out`}</span></p>
          ) : <p><b>Drop a folder or a zip archive here</b><br /><span class="muted">with <code>main.py</code> at the top level</span></p>}
          <p>
            <button type="button" onClick={() => folder.current!.click()}>Choose a folder</button>{' '}
            <button type="button" onClick={() => archive.current!.click()}>Choose an archive</button>
          </p>
          <input ref={folder} type="file" hidden {...{ webkitdirectory: true }} onChange={(e) => { const list = e.currentTarget.files; if (list?.length) void take(() => fromFiles(list)); }} />
          <input ref={archive} type="file" hidden accept=".zip,application/zip" onChange={(e) => { const file = e.currentTarget.files?.[0]; if (file) void take(() => fromArchive(file)); }} />
          {source && source.secrets.length > 0 && (
            <p class="small-text">Left out because they may contain secrets and code can be downloaded: <Foreign text={source.secrets.join(', ')} />. Put variables into the environment below.</p>
          )}
          {source && namesIn(source).includes('requirements.txt') && (
            <p class="small-text">This page can’t install what <code>requirements.txt</code> lists: put the packages into the folder, or use <code>vivarium deploy</code>, which installs them.</p>
          )}
          {wrong['content'] && <p class="error" role="alert"><Foreign text={wrong['content']} /></p>}
        </div>
        <div class="form-grid">
          <Field label="Name" hint="Part of the address." error={wrong['functionId'] ?? wrong['name']}>
            <input name="name" value={name} onInput={(e) => { setName(e.currentTarget.value.trim()); settle('functionId', 'name'); }} disabled={given !== ''} autocomplete="off" spellcheck={false} placeholder="hello" />
          </Field>
          <Field label="Entry point" hint="File and function." error={wrong['entrypoint']}>
            <input name="entrypoint" value={entrypoint} onInput={(e) => { setEntrypoint(e.currentTarget.value.trim()); settle('entrypoint'); }} autocomplete="off" spellcheck={false} />
          </Field>
          <Field label="Memory" error={wrong['resources.memory']}>
            <select name="memory" value={memory} onChange={(e) => { setMemory(e.currentTarget.value); settle('resources.memory'); }}>
              {memorySizes.map((mb) => <option value={String(mb)}>{mb} MB</option>)}
            </select>
          </Field>
          <Field label="Timeout, in seconds" error={wrong['executionTimeout']}>
            <input name="timeout" type="number" min="1" max="3600" value={timeout} onInput={(e) => { setTime(e.currentTarget.value); settle('executionTimeout'); }} />
          </Field>
          <Field label="Runtime" error={wrong['runtime']}>
            <select name="runtime" value={runtime} onChange={(e) => { setRuntime(e.currentTarget.value); settle('runtime'); }}>
              <option value="">default</option>
              {runtimes.map((name) => <option value={name}>{name}</option>)}
            </select>
          </Field>
          <Field label="Network" hint="What it may connect to: hosts, addresses, ports." error={wrong['allowNet']}>
            <input name="network" value={network} onInput={(e) => { setNetwork(e.currentTarget.value); settle('allowNet'); }} autocomplete="off" spellcheck={false} placeholder="api.example.org:443" />
          </Field>
          <Field label="Tags" hint="Separated by spaces. $latest is set automatically." error={wrong['tag']}>
            <input name="tags" value={tags} onInput={(e) => { setTags(e.currentTarget.value); settle('tag'); }} autocomplete="off" spellcheck={false} placeholder="prod" />
          </Field>
          <Field label="Environment" hint="NAME=value, one per line." error={wrong['environment']}>
            <textarea name="environment" rows={3} value={environment} onInput={(e) => { setEnvironment(e.currentTarget.value); settle('environment'); }} spellcheck={false} />
          </Field>
        </div>
        {broken && <Broken broken={broken} onAnyway={() => void submit(true)} />}
        {wrong[''] && <Notice kind="bad"><Foreign text={wrong['']} /></Notice>}
        <div class="deploy-foot">
          {progress && (
            <div class="uploading" role="status"><progress value={progress.part} max={1} aria-label={progress.what} /> {progress.what}…</div>
          )}
          <a class="button" href={given ? `#/functions/${seg(given)}` : '#/functions'}>Cancel</a>
          <button type="submit" class="primary" disabled={progress !== null}><Icon name="upload" /> Deploy</button>
        </div>
      </form>
    </div>
  );
}

interface Form {
  source: Source | null;
  name: string;
  entrypoint: string;
  memory: string;
  timeout: string;
  environment: string;
  tags: string;
}

/** check finds what the server would reject. */
function check(f: Form): { wrong: Record<string, string>; environment: Record<string, string>; tags: string[] } {
  const wrong: Record<string, string> = {};
  if (!f.source) wrong['content'] = 'Drop the code here first.';
  else if (f.source.archive && f.source.archive.size > maxContent) wrong['content'] = `The archive has ${bytes(f.source.archive.size)}; the server takes at most ${bytes(maxContent)}.`;
  if (!nameRule.test(f.name) && !/^d4e/.test(f.name)) wrong['name'] = '3 to 63 lower-case letters, digits and hyphens; a letter first.';
  const dot = f.entrypoint.lastIndexOf('.');
  if (dot < 1 || dot === f.entrypoint.length - 1) wrong['entrypoint'] = 'Write file and function, such as main.handler.';
  else if (f.source && !f.source.archive) {
    const module = f.entrypoint.slice(0, dot).replaceAll('.', '/');
    if (!f.source.files.some((x) => x.path === `${module}.py` || x.path === `${module}/__init__.py`)) wrong['entrypoint'] = `There is no ${module}.py in the code.`;
  }
  const seconds = Number(f.timeout);
  if (!(seconds > 0 && seconds <= 3600)) wrong['executionTimeout'] = 'More than 0, at most 3600.';
  const variables = environmentOf(f.environment);
  if (variables.wrong) wrong['environment'] = variables.wrong;
  const tags = f.tags.split(/[\s,]+/).filter((t) => t);
  const bad = tags.find((t) => !/^[a-z][-_0-9a-z]*$/.test(t));
  if (bad) wrong['tag'] = `“${bad.slice(0, 40)}” must have lower-case letters, digits, - and _, a letter first.`;
  return { wrong, environment: variables.environment, tags };
}
