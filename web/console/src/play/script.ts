// Code without a handler: a few plain lines of Python should run, too.

const handler = /^(async\s+def|def|class)\s+handler\b|^handler\s*=|^(from|import)\b.*\bhandler\b/m;

/** runnerFile is the file that runs a script. */
export const runnerFile = 'run_script.py';

const runner = `PATH = '/function/code/main.py'


def handler(event, context):
    with open(PATH, 'rb') as file:
        code = compile(file.read(), PATH, 'exec')
    exec(code, {'__name__': '__main__', '__file__': PATH, 'event': event, 'context': context})
    return {}
`;

/** Files are the files of a run, and its entry point. */
export interface Files {
  files: Record<string, string>;
  entrypoint: string;
}

/** filesOf returns the files for code, which may be a plain script, and others beside it. */
export function filesOf(code: string, others: Record<string, string> = {}): Files {
  if (handler.test(code)) return { files: { ...others, 'main.py': code }, entrypoint: 'main.handler' };
  return { files: { ...others, 'main.py': code, [runnerFile]: runner }, entrypoint: 'run_script.handler' };
}
