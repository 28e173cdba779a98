import { render } from 'preact';
import { App } from './app';
import { runClock } from './state/clock';
import { applyTheme } from './state/prefs';
import { follow } from './state/router';
import { followSession } from './state/session';
import './styles/base.css';
import './styles/list.css';
import './styles/batch.css';

applyTheme();
runClock();
follow();
followSession();
const root = document.getElementById('app');
if (root) render(<App />, root);
