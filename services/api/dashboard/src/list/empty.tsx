// Nothing yet: how to begin, as commands that work as they stand.
import { Command } from '../parts/bits';
import { authorization } from '../state/session';

export function Empty({ namespace }: { namespace: string }) {
  const origin = location.origin;
  const ns = `${authorization}${namespace ? ` -H 'X-Namespace: ${namespace}'` : ''}`;
  const first = `curl -s ${origin}/v1/events${ns} \\
  -H 'Content-Type: application/cloudevents+json' -d '{
  "specversion":"1.0","id":"first-1","source":"me","type":"dev.headway.tier.v1","subject":"my-first-batch",
  "time":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'",
  "data":{"tier_num":0,"status":"PROCESSING","processed_documents":120,"total_documents":1000}}'`;
  return (
    <div class="empty" data-empty>
      <h2>No batch yet</h2>
      <p>Batches appear here as soon as Headway receives an event about one. You don't have to register them first.</p>
      <section>
        <h3>Send a first event</h3>
        <Command text={first} what="the command that sends a first event" />
        <p class="soft">
          Send it again with a higher <code>processed_documents</code> and another <code>id</code> to see progress.{' '}
          <a href="/docs">The API reference</a> lists all types of events.
        </p>
      </section>
      <section>
        <h3>Attach a Ray cluster</h3>
        <p>
          This reads the jobs of a cluster and what they wait for, and sends events about them. It changes nothing in
          the cluster.
        </p>
        <Command
          text={`bin/headway attach http://127.0.0.1:8265${namespace ? ` --ray-namespace ${namespace}` : ''}`}
          what="the command that attaches a Ray cluster"
        />
      </section>
      {namespace ? null : (
        <section>
          <h3>Or look at a demo</h3>
          <Command text={`bin/headway demo --url ${origin}`} what="the command that sends a demo workload" />
        </section>
      )}
    </div>
  );
}
