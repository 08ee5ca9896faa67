import { expect, it } from 'vitest';
import { hrefOf, parseRoute } from './url';

it('paths are pages', () => {
  expect(parseRoute('/')).toEqual({ page: 'home' });
  expect(parseRoute('/dashboards/viewing')).toEqual({ page: 'dashboard', name: 'viewing' });
  expect(parseRoute('/topics/tv.tv.users')).toEqual({ page: 'topic', name: 'tv.tv.users' });
  expect(parseRoute('/connectors')).toEqual({ page: 'connectors' });
  for (const other of ['/nope', '/topics/a/b', '/connectors/a', '/topics/%zz']) {
    expect(parseRoute(other)).toEqual({ page: 'unknown' });
  }
});

it('names survive the way there and back', () => {
  for (const name of ['a b', 'ü', 'a%2Fb', 'tv.tv.users']) {
    expect(parseRoute(hrefOf.topic(name))).toEqual({ page: 'topic', name });
  }
});
