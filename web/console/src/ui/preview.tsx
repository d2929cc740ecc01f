// A page that strangers wrote, as a picture of it: preview.html shows it in a
// sandbox of its own, under a policy of its own.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Preview shows HTML without its scripts, and without anything that it would load. */
export function Preview({ html }: { html: string }) {
  const frame = useRef<HTMLIFrameElement>(null);
  const [ready, setReady] = useState(false);
  const [shown, setShown] = useState(false);
  useLayoutEffect(() => { // before the frame can have loaded
    const heard = (e: MessageEvent) => {
      if (e.source !== frame.current?.contentWindow) return;
      if (e.data === 'ready') setReady(true);
      if (e.data === 'shown') setShown(true);
    };
    addEventListener('message', heard);
    return () => removeEventListener('message', heard);
  }, []);
  useEffect(() => {
    if (!ready) return;
    setShown(false);
    frame.current?.contentWindow?.postMessage(html, '*'); // the sandbox has no origin to name
  }, [ready, html]);
  return (
    <>
      <iframe ref={frame} class="preview" title="Preview of the page" src="preview.html" sandbox="allow-scripts" aria-busy={!shown} />
      <p class="left-out">The page as it looks without scripts. It can load, send and open nothing: pictures and fonts only as data: URLs.</p>
    </>
  );
}
