// The settings of a version, and a version with others.
import { useState } from 'preact/hooks';
import { ask, Failure, type Fn, type Operation, type Version } from '../api';
import { bytes } from '../text';
import { Field, Foreign, tell } from '../ui/parts';
import { DeployDialog } from './deploydialog';
import { environmentOf, memorySizes, settingsOf } from './upload';

/** Settings lists the settings of a version. */
export function Settings({ version: v }: { version: Version }) {
  const environment = Object.entries(v.environment ?? {});
  return (
    <dl class="facts">
      <div><dt>Version</dt><dd><code>{v.id}</code></dd></div>
      <div><dt>Entry point</dt><dd><code><Foreign text={v.entrypoint} /></code></dd></div>
      <div><dt>Runtime</dt><dd>{v.runtime}</dd></div>
      <div><dt>Memory</dt><dd>{bytes(Number(v.resources.memory))}</dd></div>
      <div><dt>Timeout</dt><dd>{v.executionTimeout}</dd></div>
      <div><dt>Archive</dt><dd>{bytes(Number(v.imageSize))}</dd></div>
      <div><dt>Network</dt><dd>{v.allowNet ? <Foreign text={v.allowNet} /> : <span class="muted">none</span>}</dd></div>
      {v.serviceAccountId && <div><dt>Service account</dt><dd><Foreign text={v.serviceAccountId} /></dd></div>}
      {v.logOptions?.minLevel && <div><dt>Minimum log level</dt><dd>{v.logOptions.minLevel}</dd></div>}
      <div><dt>Asynchronous</dt><dd>{v.asyncInvocationConfig ? 'yes' : 'no'}</dd></div>
      {v.description && <div><dt>Description</dt><dd><Foreign text={v.description} /></dd></div>}
      <div><dt>Environment</dt><dd>{environment.length === 0 ? <span class="muted">empty</span> : environment.map(([k, value]) => <div><code>{k}=<Foreign text={value} /></code></div>)}</dd></div>
      {(v.secrets ?? []).length > 0 && <div><dt>Secrets</dt><dd>{v.secrets!.map((s) => <div><code><Foreign text={secretLine(s)} /></code></div>)}</dd></div>}
    </dl>
  );
}

type Secret = NonNullable<Version['secrets']>[number];

function secretLine(s: Secret): string {
  return `${s.environmentVariable}=${s.id}/${s.key}`;
}

/** secretsOf reads lines of VARIABLE=SECRET/KEY; those that are as before keep the secret's version. */
function secretsOf(text: string, before: Secret[]): Partial<Secret>[] {
  return text.split('\n').map((line) => line.trim()).filter((line) => line).map((line) => {
    const same = before.find((s) => secretLine(s) === line);
    if (same) return same;
    const [, environmentVariable, id, key] = /^([A-Za-z]\w*)=([^/\s]+)\/(\S+)$/.exec(line) ?? [];
    if (!environmentVariable || !id || !key) throw new Failure(400, `“${line.slice(0, 40)}” is not VARIABLE=SECRET/KEY.`);
    return { environmentVariable, id, key };
  });
}

/** EditSettings makes a version of the same code with other settings. */
export function EditSettings({ fn, version: v, reload, onClose }: { fn: Fn; version: Version; reload: () => Promise<void>; onClose: () => void }) {
  const [entrypoint, setEntrypoint] = useState(v.entrypoint);
  const [memory, setMemory] = useState(String(Number(v.resources.memory) / 1048576));
  const [timeout, setTime] = useState(v.executionTimeout.replace(/s$/, ''));
  const [network, setNetwork] = useState(v.allowNet ?? '');
  const [environment, setEnvironment] = useState(Object.entries(v.environment ?? {}).map(([k, value]) => `${k}=${value}`).join('\n'));
  const [secrets, setSecrets] = useState((v.secrets ?? []).map(secretLine).join('\n'));
  const manyLines = Object.values(v.environment ?? {}).some((value) => value.includes('\n'));
  const save = async (tag: string[], allowBroken: boolean) => {
    const variables = environmentOf(environment);
    if (!manyLines && variables.wrong) throw new Failure(400, variables.wrong);
    await ask<Operation>('POST', '/versions', {
      ...settingsOf(v), functionId: fn.id, versionId: v.id, tag, allowBroken, entrypoint, allowNet: network.trim(),
      resources: { memory: String(Number(memory) * 1048576) }, executionTimeout: `${timeout}s`,
      environment: manyLines ? v.environment : variables.environment, secrets: secretsOf(secrets, v.secrets ?? []),
    });
    await reload();
    tell('A version with these settings is the newest one now.');
  };
  return (
    <DeployDialog title="Settings" wide onClose={onClose} onDeploy={save}>
      <p class="muted">They belong to a version, so a new one is made, with the code of <code>{v.id}</code>.</p>
      <div class="form-grid">
        <Field label="Memory">
          <select name="memory" value={memory} onChange={(e) => setMemory(e.currentTarget.value)}>
            {[...new Set([...memorySizes, Number(memory)])].sort((a, b) => a - b).map((mb) => <option value={String(mb)}>{mb} MB</option>)}
          </select>
        </Field>
        <Field label="Timeout, in seconds">
          <input name="timeout" type="number" min="1" max="3600" step="any" value={timeout} onInput={(e) => setTime(e.currentTarget.value)} />
        </Field>
        <Field label="Entry point" hint="File and function.">
          <input name="entrypoint" value={entrypoint} onInput={(e) => setEntrypoint(e.currentTarget.value.trim())} autocomplete="off" spellcheck={false} />
        </Field>
        <Field label="Network" hint="What it may connect to: hosts, addresses, ports.">
          <input name="network" value={network} onInput={(e) => setNetwork(e.currentTarget.value)} autocomplete="off" spellcheck={false} placeholder="api.example.org:443" />
        </Field>
        <Field label="Environment" hint={manyLines ? 'It has values of several lines, which this form can’t edit.' : 'NAME=value, one per line.'}>
          <textarea name="environment" rows={3} disabled={manyLines} value={environment} onInput={(e) => setEnvironment(e.currentTarget.value)} spellcheck={false} />
        </Field>
        <Field label="Secrets" hint="VARIABLE=SECRET/KEY, one per line.">
          <textarea name="secrets" rows={3} value={secrets} onInput={(e) => setSecrets(e.currentTarget.value)} spellcheck={false} placeholder="TOKEN=telegram/token" />
        </Field>
      </div>
    </DeployDialog>
  );
}
