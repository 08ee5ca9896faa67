/** The frame around all pages: navigation, theme, shortcuts. */
import { useEffect, useState } from 'react';
import { Help } from './components/help';
import { Icon } from './components/icon';
import { Link } from './components/link';
import { Empty } from './components/states';
import { useLoaded } from './lib/api';
import { useShortcuts } from './lib/keys';
import { useTheme } from './lib/theme';
import type { Info } from './lib/types';
import { type Route, go, hrefOf, useRoute } from './lib/url';
import { ConnectorsPage } from './pages/connectors';
import { DashboardPage, DashboardSkeleton } from './pages/dashboard';
import { QueriesPage } from './pages/queries';
import { TopicPage } from './pages/topic';
import { TopicsPage } from './pages/topics';

export function App() {
  const route = useRoute();
  const [theme, toggleTheme] = useTheme();
  const [help, setHelp] = useState(false);
  const info = useLoaded<Info>('/api/info');
  const first = info.data?.dashboards[0]?.name ?? null;
  const home = first ? hrefOf.dashboard(first) : '/';
  useEffect(() => {
    if (route.page === 'home' && info.data) go(first ? hrefOf.dashboard(first) + location.search : hrefOf.topics(), true);
  }, [route, info.data, first]);
  useShortcuts({
    '?': () => setHelp(true),
    t: toggleTheme,
    'g d': () => go(home),
    'g t': () => go(hrefOf.topics()),
    'g c': () => go(hrefOf.connectors()),
    'g q': () => go(hrefOf.queries()),
  });
  const on = (...pages: Route['page'][]) => (pages.includes(route.page) ? ('page' as const) : undefined);
  return (
    <>
      <a className="skip" href="#main">Skip to content</a>
      <header className="bar">
        <Link to={home} className="brand" aria-label="bd, home">
          <img src="/icon.svg" alt="" width="22" height="22" />
          <span>bd</span>
        </Link>
        <nav aria-label="Pages">
          <Link to={home} aria-current={on('dashboard', 'home')}>Dashboards</Link>
          <Link to={hrefOf.topics()} aria-current={on('topics', 'topic')}>Topics</Link>
          <Link to={hrefOf.connectors()} aria-current={on('connectors')}>Connectors</Link>
          <Link to={hrefOf.queries()} aria-current={on('queries')}>Queries</Link>
        </nav>
        <div className="tools">
          <button className="icon" onClick={toggleTheme} aria-label={`Use the ${theme === 'dark' ? 'light' : 'dark'} theme`} title="Theme (t)">
            <Icon name={theme === 'dark' ? 'sun' : 'moon'} />
          </button>
          <button className="icon keys-button" onClick={() => setHelp(true)} aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)">
            <Icon name="help" />
          </button>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Page route={route} info={info.data} error={info.error} />
      </main>
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}

function Page({ route, info, error }: { route: Route; info: Info | null; error: string | null }) {
  useEffect(() => {
    const name = route.page === 'dashboard' || route.page === 'topic' ? `${route.name} · ` : '';
    const page = route.page === 'topic' ? 'topics' : route.page;
    document.title = `${name}${page === 'home' || page === 'unknown' ? '' : `${page} · `}bd`;
  }, [route]);
  switch (route.page) {
    case 'dashboard':
      return <DashboardPage key={route.name} name={route.name} others={info?.dashboards ?? []} />;
    case 'topics':
      return <TopicsPage />;
    case 'topic':
      return <TopicPage key={route.name} name={route.name} />;
    case 'connectors':
      return <ConnectorsPage />;
    case 'queries':
      return <QueriesPage />;
    case 'home':
      return error ? <Empty title="The console does not answer" text={error} busy /> : <DashboardSkeleton />;
    case 'unknown':
      return (
        <Empty title="There is no such page" text={`${location.pathname} leads nowhere.`}>
          <Link to="/" className="button">Go to the dashboards</Link>
        </Empty>
      );
  }
}
