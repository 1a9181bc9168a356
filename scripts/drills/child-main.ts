/** The child's end of `child.ts`: answers calls of the drill, and ends when the drill is gone. */

export type Handlers = Readonly<Record<string, (argument: unknown) => unknown>>;

interface Call {
  readonly id: number;
  readonly call: string;
  readonly argument: unknown;
}

function send(message: object): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected || process.send === undefined) return resolve();
    process.send(message, () => resolve());
  });
}

/** Answers calls until the channel closes. A drill that died must leave no process behind. */
export function serveCalls(handlers: Handlers): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', async (message) => {
    const { id, call, argument } = message as Call;
    try {
      const handler = handlers[call];
      if (handler === undefined) throw new Error(`no such call: ${call}`);
      await send({ id, value: await handler(argument) });
    } catch (error) {
      await send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
  void send({ event: 'loaded' });
}

/** Hands in the last words and lets go of the drill: from here on the process must end by itself. */
export async function farewell(value: unknown): Promise<void> {
  await send({ event: 'farewell', value });
  process.removeAllListeners('disconnect');
  if (process.connected) process.disconnect();
}
