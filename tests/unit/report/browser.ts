/** As much of the Chrome DevTools protocol as tests need: open a page, look at it, hear its complaints. */

import { join } from "node:path";

/** Chromium where one is installed: $CHROMIUM, else the usual names. */
export const findBrowser = (): string | undefined =>
  [process.env.CHROMIUM, "chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"]
    .map((name) => (name === undefined || name === "" ? null : Bun.which(name)))
    .find((path) => path !== null) ?? undefined;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

export class Browser {
  /** Errors and console messages of the page that is open. */
  complaints: string[] = [];
  /** Addresses that it has asked for. */
  requests: string[] = [];
  private readonly waiting = new Map<number, PromiseWithResolvers<Message>>();
  private lastId = 0;

  private constructor(
    private readonly process: Bun.Subprocess,
    private readonly socket: WebSocket,
  ) {
    socket.onmessage = ({ data }) => this.hear(JSON.parse(String(data)) as Message);
  }

  /** Starts a browser with a profile below `directory`. */
  static async start(program: string, directory: string): Promise<Browser> {
    const child = Bun.spawn(
      [
        program,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--remote-debugging-port=0",
        `--user-data-dir=${join(directory, "profile")}`,
        "about:blank",
      ],
      {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        env: { ...process.env, HOME: directory, TMPDIR: directory },
      },
    );
    let said = "";
    const decoder = new TextDecoder();
    let address: string | undefined;
    for await (const chunk of child.stderr) {
      said += decoder.decode(chunk, { stream: true });
      address = /DevTools listening on ws:\/\/([^/]+)/.exec(said)?.[1];
      if (address !== undefined) break;
    }
    if (address === undefined) throw new Error(`${program} did not start: ${said}`);
    const pages = (await (await fetch(`http://${address}/json/list`)).json()) as {
      type: string;
      webSocketDebuggerUrl: string;
    }[];
    const page = pages.find(({ type }) => type === "page");
    if (page === undefined) throw new Error(`${program} has no page`);
    const socket = new WebSocket(page.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const browser = new Browser(child, socket);
    for (const domain of ["Runtime", "Log", "Network", "Page"]) await browser.call(`${domain}.enable`, {});
    return browser;
  }

  async open(url: string): Promise<void> {
    this.complaints = [];
    this.requests = [];
    await this.call("Page.navigate", { url });
  }

  /** The value of an expression in the page. */
  async value(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = (await this.call("Runtime.evaluate", {
      expression,
      returnByValue: true,
    })) as { result?: { value?: unknown }; exceptionDetails?: { text: string } };
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return result?.value;
  }

  /** Waits until an expression in the page is true. */
  async until(expression: string): Promise<void> {
    const end = performance.now() + 30_000;
    while ((await this.value(expression).catch(() => false)) !== true) {
      if (performance.now() > end) throw new Error(`never true in the page: ${expression}`);
      await Bun.sleep(20);
    }
  }

  async close(): Promise<void> {
    this.socket.close();
    this.process.kill();
    await this.process.exited;
  }

  private async call(method: string, params: object): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.lastId;
    const answer = Promise.withResolvers<Message>();
    this.waiting.set(id, answer);
    this.socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answer.promise;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  private hear(message: Message): void {
    if (message.id !== undefined) {
      this.waiting.get(message.id)?.resolve(message);
      this.waiting.delete(message.id);
    } else if (message.method === "Runtime.exceptionThrown" || message.method === "Log.entryAdded")
      this.complaints.push(JSON.stringify(message.params));
    else if (message.method === "Network.requestWillBeSent")
      this.requests.push(String((message.params?.request as { url?: string } | undefined)?.url));
  }
}
