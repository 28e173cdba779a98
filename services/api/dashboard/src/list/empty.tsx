// Nothing yet: how to begin, as commands that work as they stand.
import { Command } from '../parts/bits';

export function Empty({ namespace }: { namespace: string }) {
  const origin = location.origin;
  const ns = namespace ? ` -H 'X-Namespace: ${namespace}'` : '';
  const first = `curl -s ${origin}/v1/events${ns} \\
  -H 'Content-Type: application/cloudevents+json' -d '{
  "specversion":"1.0","id":"first-1","source":"me","type":"dev.headway.tier.v1","subject":"my-first-batch",
  "time":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'",
  "data":{"tier_num":0,"status":"PROCESSING","processed_documents":120,"total_documents":1000}}'`;
  return (
    <div class="empty" data-empty>
      <h2>No batch yet</h2>
      <p>This page fills by itself as soon as Headway hears of a batch. Nothing has to be set up for one before.</p>
      <section>
        <h3>Send a first event</h3>
        <Command text={first} what="the command that sends a first event" />
        <p class="soft">
          Send it again with a higher <code>processed_documents</code> and another <code>id</code>, and the batch moves.{' '}
          <a href="/docs">The API</a> has all types of events.
        </p>
      </section>
      <section>
        <h3>Attach a Ray cluster</h3>
        <p>Reads a cluster's jobs and what they wait for, and sends it here. The jobs stay as they are.</p>
        <Command
          text={`bin/relay --ray-url http://127.0.0.1:8265 --headway-url ${origin}${namespace ? ` --namespace ${namespace}` : ''}`}
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
