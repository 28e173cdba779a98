// Reads a stream with npm's eventsource and prints each event as one line of JSON.
import { EventSource } from 'eventsource';

const [url, lastId] = process.argv.slice(2);
const source = new EventSource(url, {
  fetch: (input, init) => fetch(input, { ...init, headers: lastId ? { 'Last-Event-ID': lastId, ...init.headers } : init.headers }),
});
for (const name of ['message', 'snapshot', 'update', 'health', 'end']) {
  source.addEventListener(name, e => console.log(JSON.stringify({ id: e.lastEventId, event: name, data: e.data })));
}
source.addEventListener('error', e => {
  if (e.code === 204) source.close();
});
