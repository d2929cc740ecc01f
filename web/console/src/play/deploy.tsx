// A draft becomes a function.
import { useState } from 'preact/hooks';
import { seg } from '../api';
import { nameRule } from '../functions/deploy';
import { DeployDialog } from '../functions/deploydialog';
import { deploy, environmentOf, functionID, sourceOf } from '../functions/upload';
import { Field, tell } from '../ui/parts';
import type { Draft } from './run';
import { filesOf } from './script';

/** DeployDraft asks for a name and deploys a draft, which may connect to what allowNet says. */
export function DeployDraft({ draft, allowNet, onClose }: { draft: Draft; allowNet: string; onClose: () => void }) {
  const [name, setName] = useState('');
  return (
    <DeployDialog title="Deploy as a function" onClose={onClose}
      onDeploy={async (tag, allowBroken, progress) => {
        if (!nameRule.test(name)) throw new Error('A name has 3 to 63 lower-case letters, digits and hyphens, a letter first.');
        const { files, entrypoint } = filesOf(draft.code, draft.files);
        const variables = environmentOf(draft.environment);
        if (variables.wrong) throw new Error(`The environment: ${variables.wrong}`);
        await deploy(sourceOf(files), {
          functionId: await functionID(name), entrypoint, tag, allowBroken, allowNet, environment: variables.environment,
          resources: { memory: String(draft.memoryMB * 1048576) }, executionTimeout: `${draft.timeoutMS / 1000}s`,
        }, progress);
        tell(`${name} is live: ${location.origin}/${name}`);
        location.hash = `#/functions/${seg(name)}/test`;
      }}>
      <Field label="Name" hint="Part of the address. A function that is there already gets a new version.">
        <input name="name" value={name} onInput={(e) => setName(e.currentTarget.value.trim())} autocomplete="off" spellcheck={false} placeholder="hello" />
      </Field>
      <p class="muted">It gets the code, its environment, its memory and its timeout{allowNet && <>, and may connect to <code>{allowNet}</code></>}. Unlike a run, it stays until it is deleted, and keeps its log.</p>
    </DeployDialog>
  );
}
