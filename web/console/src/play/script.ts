// Code without a handler: three lines of Python are to run, too.

const handler = /^(async\s+def|def|class)\s+handler\b|^handler\s*=|^(from|import)\b.*\bhandler\b/m;

const runner = `import runpy


def handler(event, context):
    runpy.run_path('/function/code/main.py', run_name='__main__')
    return {}
`;

/** Files are what a run's code consists of, and where it begins. */
export interface Files {
  files: Record<string, string>;
  entrypoint: string;
}

/** isScript says if code has no handler, so that it is run from top to bottom. */
export function isScript(code: string): boolean {
  return !handler.test(code);
}

/** filesOf returns the files for code, which may be a mere script. */
export function filesOf(code: string): Files {
  if (!isScript(code)) return { files: { 'main.py': code }, entrypoint: 'main.handler' };
  return { files: { 'main.py': code, 'run_script.py': runner }, entrypoint: 'run_script.handler' };
}
