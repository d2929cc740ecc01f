// memo, without the rest of preact/compat.
import { createElement, type FunctionComponent } from 'preact';

/** memo returns a component that is rendered again only when one of its properties changes. */
export function memo<P extends object>(inner: FunctionComponent<P>): FunctionComponent<P> {
  function Memo(this: { shouldComponentUpdate?: (next: P) => boolean; props: P }, props: P) {
    this.shouldComponentUpdate = (next) => {
      const before = this.props as Record<string, unknown>;
      return Object.entries(next).some(([name, value]) => before[name] !== value);
    };
    return createElement(inner, props);
  }
  return Memo as unknown as FunctionComponent<P>;
}
