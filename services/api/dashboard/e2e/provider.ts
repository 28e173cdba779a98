// An identity provider (OpenID Connect) that signs everybody in at once, as one that already knows the browser does.
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Provider {
  url = '';
  /** What the tokens say beside the usual. */
  claims: Record<string, unknown> = {};
  /** Of whom sign-ins were begun and not ended. */
  private codes = new Map<string, { challenge: string; nonce: string; client: string }>();
  private server: Server;

  constructor() {
    this.server = createServer(async (q, a) => {
      const url = new URL(q.url ?? '/', this.url);
      const json = (status: number, value: object): void => {
        a.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
      };
      switch (url.pathname) {
        case '/.well-known/openid-configuration':
          return json(200, {
            issuer: this.url,
            authorization_endpoint: `${this.url}/authorize`,
            token_endpoint: `${this.url}/token`,
            jwks_uri: `${this.url}/keys`,
            response_types_supported: ['code'],
            subject_types_supported: ['public'],
            id_token_signing_alg_values_supported: ['RS256'],
          });
        case '/keys':
          return json(200, { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: '1', use: 'sig', alg: 'RS256' }] });
        case '/authorize': {
          const code = randomUUID();
          const p = (name: string): string => url.searchParams.get(name) ?? '';
          if (p('code_challenge_method') !== 'S256') return json(400, { error: 'invalid_request' });
          this.codes.set(code, { challenge: p('code_challenge'), nonce: p('nonce'), client: p('client_id') });
          const back = new URL(p('redirect_uri'));
          back.searchParams.set('code', code);
          back.searchParams.set('state', p('state'));
          a.writeHead(302, { Location: back.href }).end();
          return;
        }
        case '/token': {
          let text = '';
          for await (const piece of q) text += piece;
          const form = new URLSearchParams(text);
          const code = this.codes.get(form.get('code') ?? '');
          this.codes.delete(form.get('code') ?? '');
          const challenge = createHash('sha256')
            .update(form.get('code_verifier') ?? '')
            .digest('base64url');
          if (!code || challenge !== code.challenge) return json(400, { error: 'invalid_grant' });
          const now = Math.floor(Date.now() / 1000);
          const about = { iss: this.url, aud: code.client, iat: now, exp: now + 300, nonce: code.nonce };
          const body = `${encoded({ alg: 'RS256', kid: '1', typ: 'JWT' })}.${encoded({ ...about, ...this.claims })}`;
          const signature = sign('sha256', Buffer.from(body), privateKey).toString('base64url');
          return json(200, { access_token: randomUUID(), token_type: 'Bearer', id_token: `${body}.${signature}` });
        }
      }
      a.writeHead(404).end();
    });
  }

  async start(): Promise<this> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://localhost:${(this.server.address() as AddressInfo).port}`; // another site than 127.0.0.1
    return this;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
