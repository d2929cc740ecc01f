// Runs before the first paint, so that the page never flashes in a theme that the visitor did not choose.
import { applyTheme, chosenTheme } from './ui/theme';

applyTheme(chosenTheme());
