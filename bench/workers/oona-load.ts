// Normal traffic beside the emergencies of bench/oona.ts: `oona-load.ts <redisUrl>`.
import { Load, type LoadCommand, type LoadReply } from '../lib/oona-load.ts';
import { openOwn } from '../lib/oona-own.ts';

const [redisUrl = ''] = process.argv.slice(2);
const tell = (reply: LoadReply): void => void process.send?.(reply);

const load = new Load(await openOwn(redisUrl, 'bench-load'), 'load');

async function obey(command: LoadCommand): Promise<void> {
  if (command.type === 'start') {
    await load.start(command.perSecond);
    tell({ type: 'started' });
  } else {
    tell({ type: 'stopped', ...(await load.stop()) });
  }
}

process.on('message', (command: LoadCommand) => {
  obey(command).catch((error: unknown) => {
    console.error('load:', error);
    process.exit(1);
  });
});
process.once('disconnect', () => void load.close().finally(() => process.exit(0)));
tell({ type: 'ready' });
