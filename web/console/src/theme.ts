// Runs before the first paint, so that nobody who chose a theme sees the other.
import { applyTheme, chosenTheme } from './ui/theme';

applyTheme(chosenTheme());
