// Icons, drawn on a grid of 24, in the colour of the text around them.

const paths = {
  play: 'M8 5.5v13l10.5-6.5z',
  stop: 'M7 7h10v10H7z',
  share: 'M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.6 1.6M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.6-1.6',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z',
  copy: 'M9 9h10v10H9zM15 9V5H5v10h4',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  plus: 'M12 5v14M5 12h14',
  trash: 'M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12M10.5 10.5v5M13.5 10.5v5',
  close: 'M6 6l12 12M18 6L6 18',
  file: 'M7 3.5h7l4 4V20.5H7zM14 3.5v4h4',
  upload: 'M12 15.5V4.5M7.5 9L12 4.5 16.5 9M5 15v4.5h14V15',
  download: 'M12 4.5v11M7.5 11l4.5 4.5 4.5-4.5M5 19.5h14',
  undo: 'M9 7L4.5 11.5 9 16M5 11.5h9a5 5 0 0 1 0 9.5h-2',
  tag: 'M4 4h8l8 8-8 8-8-8zM8.5 8.5h.01',
  external: 'M13 5h6v6M19 5l-8 8M17 14v5H5V7h5',
  search: 'M10.5 4.5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15 15l5 5',
  key: 'M8 12a4 4 0 1 0 0 .01M12 12h9M18 12v3.5M21 12v2.5',
  alert: 'M12 4L2.8 19.5h18.4zM12 10v4.5M12 17h.01',
  info: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17M12 11v5.5M12 7.8h.01',
} as const;

/** Icon is decoration beside a text; it has no meaning of its own. */
export function Icon({ name, size = 16 }: { name: keyof typeof paths; size?: number }) {
  const solid = name === 'play' || name === 'stop';
  return (
    <svg
      class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false"
      fill={solid ? 'currentColor' : 'none'} stroke="currentColor" stroke-width={solid ? 1 : 1.8}
      stroke-linecap="round" stroke-linejoin="round"
    >
      <path d={paths[name]} />
    </svg>
  );
}
