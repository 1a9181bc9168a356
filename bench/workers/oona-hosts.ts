// Hosts that hear the emergencies of bench/oona.ts: `oona-hosts.ts <redisUrl> <name>`.
import { Hosts, type HostsCommand, type HostsReply } from '../lib/oona-hosts.ts';

const [redisUrl = '', name = ''] = process.argv.slice(2);
const tell = (reply: HostsReply): void => void process.send?.(reply);

const hosts = new Hosts(redisUrl, name);

async function obey(command: HostsCommand): Promise<void> {
  switch (command.type) {
    case 'open':
      await hosts.open(command.hosts);
      return tell({ type: 'opened' });
    case 'await':
      tell({ type: 'awaiting' });
      return hosts.await(command.side, (atNs) => tell({ type: 'last', atNs: String(atNs) }));
    case 'totals':
      return tell({ type: 'totals', ...hosts.totals() });
  }
}

process.on('message', (command: HostsCommand) => {
  obey(command).catch((error: unknown) => {
    console.error('hosts:', error);
    process.exit(1);
  });
});
process.once('disconnect', () => process.exit(0));
tell({ type: 'ready' });
