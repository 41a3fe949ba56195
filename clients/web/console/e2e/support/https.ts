/** Calls to the doubles and to a real API server, over TLS with an authority of their own. */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";

/** What was answered. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What is sent. */
export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Calls one server. */
export class Https {
  readonly #agent: Agent;

  constructor(ca: string | Buffer) {
    this.#agent = new Agent({ ca, keepAlive: true, maxSockets: 32 });
  }

  static trusting(caFile: string): Https {
    return new Https(readFileSync(caFile));
  }

  send(url: string, { method = "GET", headers = {}, body }: Call = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(url, { method, agent: this.#agent, headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(parts).toString() }));
        answer.on("error", reject);
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }
}
