// Handlers of bench/oona.ts in a process of their own: `oona-echo.ts <redisUrl>`.
import { Echo, type EchoCommand, type EchoReply } from '../lib/oona-echo.ts';

const [redisUrl = ''] = process.argv.slice(2);
const tell = (reply: EchoReply): void => void process.send?.(reply);

const echo = new Echo(redisUrl, tell);

async function obey(command: EchoCommand): Promise<void> {
  switch (command.type) {
    case 'open':
      await echo.open(command.kind);
      return tell({ type: 'opened' });
    case 'rehearse':
      echo.rehearse(command.count);
      return tell({ type: 'rehearsing' });
    case 'totals':
      return tell({ type: 'totals', ...echo.totals() });
    case 'close':
      await echo.close();
      return tell({ type: 'closed' });
  }
}

process.on('message', (command: EchoCommand) => {
  obey(command).catch((error: unknown) => {
    console.error('echo:', error);
    process.exit(1);
  });
});
process.once('disconnect', () => process.exit(0));
tell({ type: 'ready' });
