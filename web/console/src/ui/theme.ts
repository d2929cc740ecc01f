// The theme: the system's, unless the visitor chose one.

export type Theme = 'light' | 'dark';

const key = 'vivarium.theme';

/** chosenTheme returns the visitor's choice, or null to follow the system. */
export function chosenTheme(): Theme | null {
  try {
    const theme = localStorage.getItem(key);
    return theme === 'light' || theme === 'dark' ? theme : null;
  } catch {
    return null; // storage may be forbidden
  }
}

/** applyTheme shows the page in a theme; null follows the system. */
export function applyTheme(theme: Theme | null): void {
  if (theme) document.documentElement.dataset['theme'] = theme;
  else delete document.documentElement.dataset['theme'];
}

/** currentTheme returns the theme that the page is shown in. */
export function currentTheme(): Theme {
  return chosenTheme() ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
}

/** chooseTheme applies a theme and remembers it. */
export function chooseTheme(theme: Theme): void {
  applyTheme(theme);
  try {
    localStorage.setItem(key, theme);
  } catch {
    // storage may be forbidden: the choice lasts until the page is closed
  }
}
