// One receiver process of the wake comparison: `receiver.ts <kind> <address>`.
import { Arrivals } from '../lib/arrivals.ts';
import { listen } from '../lib/listeners.ts';
import { type FromReceiver, RECEIVER_KINDS, type ToReceiver } from '../lib/wake-protocol.ts';

const MAX_BLOCK = 65_536;
/** Longer than the slowest variant (polling) can be late; what is missing then is lost. */
const GRACE_MS = 2_000;

const [kindName, address = ''] = process.argv.slice(2);
const kind = RECEIVER_KINDS.find((known) => known === kindName);
if (kind === undefined) throw new Error(`unknown receiver ${kindName}`);

const tell = (message: FromReceiver): void => {
  process.send?.(message);
};

const arrivals = new Arrivals(MAX_BLOCK);
const listener = await listen(kind, address, arrivals.note);

process.once('disconnect', () => process.exit(0));
process.on('message', (message: ToReceiver) => {
  if (message.type === 'begin') {
    arrivals.begin(message.first, message.count, BigInt(message.originNs));
    listener.begin(message.first);
    tell({ type: 'begun' });
  } else if (message.type === 'end') {
    void arrivals.complete(GRACE_MS).then(() => {
      listener.end();
      tell({ type: 'arrivals', atNs: arrivals.report() });
    });
  }
});
tell({ type: 'ready' });
