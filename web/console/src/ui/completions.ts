// What the editor knows about handlers: their signatures, event and context.
import { snippetCompletion, type Completion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';

const snippets: Completion[] = [
  snippetCompletion(
    "def handler(event, context):\n    return {\n        'statusCode': ${200},\n        'body': ${'Hello'},\n    }\n",
    { label: 'handler', detail: 'answers a request', type: 'function', boost: 9 },
  ),
  snippetCompletion(
    "async def handler(event, context):\n    await ${asyncio.sleep(0)}\n    return {'body': ${'Hello'}}\n",
    { label: 'async handler', detail: 'on asyncio', type: 'function', boost: 8 },
  ),
  snippetCompletion(
    "return {\n    'statusCode': ${200},\n    'headers': {'Content-Type': '${application/json}'},\n    'body': json.dumps(${answer}),\n}",
    { label: 'return answer', detail: 'with headers', type: 'keyword', boost: 7 },
  ),
  snippetCompletion(
    "return {\n    'headers': {'Content-Type': '${image/png}'},\n    'isBase64Encoded': True,\n    'body': base64.b64encode(${data}).decode(),\n}",
    { label: 'return bytes', detail: 'base64', type: 'keyword', boost: 6 },
  ),
  snippetCompletion("for message in event['messages']:\n    ${print(message['details'])}", {
    label: 'for message', detail: 'of a trigger', type: 'keyword', boost: 5,
  }),
  snippetCompletion(
    "body = event['body']\nif event['isBase64Encoded']:\n    body = base64.b64decode(body)\n${}",
    { label: 'request body', detail: 'decoded', type: 'variable', boost: 4 },
  ),
];

const context: Completion[] = [
  ['request_id', 'UUID of the call'],
  ['function_name', 'id of the function'],
  ['function_version', 'id of the version'],
  ['memory_limit_in_mb', 'int'],
  ['deadline_ms', 'when the call times out, ms since 1970'],
  ['token', 'dict or None'],
  ['log_group_name', 'str'],
  ['log_stream_name', 'str'],
  ['aws_request_id', 'same as request_id'],
  ['invoked_function_arn', 'id of the function'],
].map(([label, detail]) => ({ label: label!, detail: detail!, type: 'property' }));
context.splice(1, 0, {
  label: 'get_remaining_time_in_millis', apply: 'get_remaining_time_in_millis()', detail: 'int', type: 'method', boost: 1,
});

const event: Completion[] = [
  ['httpMethod', "'GET', 'POST', …"],
  ['headers', 'name to last value'],
  ['multiValueHeaders', 'name to all values'],
  ['queryStringParameters', 'name to last value'],
  ['multiValueQueryStringParameters', 'name to all values'],
  ['body', 'str; base64 unless the type is application/json'],
  ['isBase64Encoded', 'bool'],
  ['requestContext', 'requestId, identity, times'],
  ['messages', 'of a trigger'],
].map(([label, detail]) => ({ label: label!, detail: detail!, type: 'property' }));

/** completions returns what fits at the cursor. */
export function completions(at: CompletionContext): CompletionResult | null {
  const attribute = at.matchBefore(/\bcontext\.\w*/);
  if (attribute) return { from: attribute.from + 'context.'.length, options: context, validFor: /^\w*$/ };
  const field = at.matchBefore(/\bevent(\.get\(|\[)['"]\w*/);
  if (field) return { from: at.pos - /\w*$/.exec(field.text)![0].length, options: event, validFor: /^\w*$/ };
  const word = at.matchBefore(/\w+/);
  if (!word || /[.'"]$/.test(at.state.sliceDoc(Math.max(0, word.from - 1), word.from))) return null;
  return { from: word.from, options: snippets };
}
