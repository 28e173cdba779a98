// Nothing yet: how to begin, as commands that work as they stand.
import { at, base } from '../lib/route';
import { emptyList } from '../lib/texts';
import { Command } from '../parts/bits';
import { authorization } from '../state/session';

export function Empty({ namespace }: { namespace: string }) {
  const origin = location.origin + base;
  const nats = document.documentElement.dataset.nats;
  const ns = `${authorization}${namespace ? ` -H 'X-Namespace: ${namespace}'` : ''}`;
  const first = `curl -s ${origin}/v1/events${ns} \\
  -H 'Content-Type: application/cloudevents+json' -d '{
  "specversion":"1.0","id":"first-1","source":"me","type":"dev.headway.tier.v1","subject":"my-first-batch",
  "time":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'",
  "data":{"tier_num":0,"status":"PROCESSING","processed_documents":120,"total_documents":1000}}'`;
  return (
    <div class="empty" data-empty>
      <h2>{emptyList.title}</h2>
      <p>{emptyList.text}</p>
      <section>
        <h3>Send a first event</h3>
        <Command text={first} what="the command that sends a first event" />
        <p class="soft">
          Send it again with a higher <code>processed_documents</code> and another <code>id</code> to see progress.{' '}
          <a href={at('docs')}>The API reference</a> lists all types of events.
        </p>
      </section>
      <section>
        <h3>Attach a Ray cluster</h3>
        <p>
          This reads the jobs of a cluster and what they wait for, and sends events about them. It changes nothing in
          the cluster.
        </p>
        <Command
          text={`headway attach http://127.0.0.1:8265${nats ? ` --nats-url ${nats}` : ''}${namespace ? ` --ray-namespace ${namespace}` : ''}`}
          what="the command that attaches a Ray cluster"
        />
      </section>
      <section>
        <h3>Or look at a demo</h3>
        <Command
          text={`headway demo --url ${origin}${namespace ? ` --namespaces ${namespace}` : ''}`}
          what="the command that sends a demo workload"
        />
      </section>
    </div>
  );
}
